"""Worker processes that read batches ahead, in order, errors as one message.

Each worker is forked once for a whole plan (a process that is forked from a trainer in full swing
makes every page the trainer writes be copied), has a pipe of its own and writes its batches into
memory of its own that both sides map. There is no queue, no lock and no thread between them:
whatever ends a worker, or the trainer, closes a pipe, and the other side sees it. Paddle 3.3's own
``DataLoader`` was used here before: under load its workers ended by a segmentation fault in one run
of six, and leaving it early could wait for ever (both seen).
"""

import contextlib
import gc
import itertools
import json
import logging
import mmap
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import NoReturn

import cv2
import numpy as np
import paddle

from paddlevideo.loader.batches import BatchReader
from paddlevideo.loader.index_sampler import IndexSampler
from paddlevideo.loader.watch import Patience, Reading, Wait
from paddlevideo.utils.errors import ConfigError, DataError, PaddleVideoError, WeightsError
from paddlevideo.utils.processes import GRACE_SECONDS, end_process

logger = logging.getLogger(__name__)

_BATCHES_AHEAD = 2
_PARENT_CHECK_SECONDS = 1.0
# Sent to the whole group of the trainer's processes, they are the trainer's business; a worker ends
# with its pipe, or with its trainer.
_LEFT_TO_THE_TRAINER = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
_ALIGNMENT = 64
_SLACK_BYTES = 4096
# What a worker's error is raised as again; another one of ours as a DataError.
_ERRORS = {error.__name__: error for error in (ConfigError, DataError, WeightsError)}


@dataclass(frozen=True)
class Plan:
    """The batches of the epochs ``first`` up to, not including, ``last``: (epoch, indices) each."""

    sampler: IndexSampler
    first: int
    last: int
    start_step: int = 0

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        for epoch in range(self.first, self.last):
            start_step = self.start_step if epoch == self.first else 0
            for indices in self.sampler.batches(epoch, start_step):
                yield epoch, indices

    def __len__(self) -> int:
        return max(0, (self.last - self.first) * len(self.sampler) - self.start_step)


def workers_are_possible() -> bool:
    """Whether this system can fork; one that cannot reads in the trainer's own process."""
    return "fork" in multiprocessing.get_all_start_methods()


def read_with_workers(
    reader: BatchReader, plan: Plan, num_workers: int, patience: Patience | None = None
) -> Iterator[dict[str, paddle.Tensor]]:
    """Yield the batches of ``plan``, (epoch, indices) each, in order, read ahead by processes.

    Leaving the loop early, by ``break`` or an error, ends the processes.

    Raises:
        DataError: as the reader does; or a worker process died, or has no patience left.
    """
    with contextlib.ExitStack() as stack:
        slot_bytes = _slot_bytes(reader, plan)
        workers = [
            stack.enter_context(contextlib.closing(_Worker(reader, slot_bytes, patience)))
            for _ in range(min(num_workers, len(plan)))
        ]
        positions = iter(plan)
        under_way: deque[_Worker] = deque()
        for worker, position in zip(workers * _BATCHES_AHEAD, positions, strict=False):
            worker.ask(position)
            under_way.append(worker)
        while under_way:
            worker = under_way.popleft()
            batch = worker.answer()
            for following in itertools.islice(positions, 1):
                worker.ask(following)
                under_way.append(worker)
            yield batch


class _Worker:
    """One process, seen from the trainer: `ask` for batches, and take them in the same order."""

    def __init__(
        self, reader: BatchReader, slot_bytes: int, patience: Patience | None = None
    ) -> None:
        fork = multiprocessing.get_context("fork")
        self._dataset = reader.dataset
        self._patience = patience or Patience()
        self._reading = Reading()
        self._slots = [mmap.mmap(-1, slot_bytes) for _ in range(_BATCHES_AHEAD)]
        self._free = deque(range(_BATCHES_AHEAD))
        self._filled: deque[int] = deque()
        self._pipe, theirs = fork.Pipe()
        self._process = fork.Process(
            target=_work, args=(reader, theirs, self._slots, self._reading),
            daemon=True, name="clip reader",
        )  # fmt: skip
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def ask(self, position: tuple[int, list[int]]) -> None:
        """Have the process read the batch (epoch, indices) into a free slot."""
        slot = self._free.popleft()
        self._filled.append(slot)
        try:
            self._pipe.send((slot, position))
        except OSError:
            self._died()

    def answer(self) -> dict[str, paddle.Tensor]:
        """Wait for the oldest batch that was asked for.

        Raises:
            DataError: the process has died, or reads for too long.
        """
        slot = self._filled.popleft()
        watch = Wait(self._patience, "a worker process of the data loader", self._named)
        # The process too: a child of another part of the trainer may hold the pipe open.
        while not wait([self._pipe, self._process.sentinel], watch.seconds_left()):
            watch.check()
        try:
            answer = self._pipe.recv() if self._pipe.poll() else self._died()
        except (EOFError, OSError):
            self._died()
        if "error" in answer:
            _raise(answer["error"])
        batch = {  # to_tensor copies, so that the slot can be used again
            name: paddle.to_tensor(_from_slot(value, self._slots[slot]))
            for name, value in answer.items()
        }
        self._free.append(slot)
        return batch

    def close(self) -> None:
        """End the process and give its memory back."""
        # It shares nothing that a sudden end could leave locked or half-written.
        self._process.kill()
        self._process.join(GRACE_SECONDS)
        if not self._process.is_alive():  # else it waits in the kernel, for a disk that is gone
            self._process.close()
        self._pipe.close()
        for slot in self._slots:
            slot.close()
        self._reading.close()

    def _named(self) -> str:
        return self._reading.named(self._dataset)

    def _died(self) -> NoReturn:
        self._process.join(GRACE_SECONDS)  # its pipe is closed, so it is about to end
        end_process(self._process)
        code = self._process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        raise DataError(
            f"a worker process of the data loader died ({how}); it may have been killed for "
            "lack of memory: try fewer DATASET.num_workers, or 0 to see the error itself"
        )


@dataclass(frozen=True)
class _InSlot:
    """Where an array of a batch lies in the memory both sides map."""

    shape: tuple[int, ...]
    dtype: str
    offset: int


def _slot_bytes(reader: BatchReader, plan: Plan) -> int:
    """Bytes for one batch; a larger one, of videos of unknown size, goes through the pipe."""
    inputs = reader.dataset.context.pipeline.inputs.values()
    clip_bytes = sum(
        int(np.prod(each.clip_shape())) * np.dtype(each.output_dtype).itemsize + _ALIGNMENT
        for each in inputs
    )
    return plan.sampler.batch_size * clip_bytes + _SLACK_BYTES


class _Slot:
    """The memory of one batch, filled from its start on."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._next = 0
        # The arrays are kept too, so that no other one gets the identity of one that is gone.
        self._given: dict[int, tuple[np.ndarray, _InSlot]] = {}

    def room_for(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An array in the slot: read there, a batch is not copied again; one apart if it is full.

        A clip is 4 MB of 50 frames of 172x172: each copy less is 1 % of reading it.
        """
        num_bytes = int(np.prod(shape)) * dtype.itemsize
        if self._next + num_bytes > len(self._memory):
            return np.empty(shape, dtype)
        array: np.ndarray = np.ndarray(shape, dtype, buffer=self._memory, offset=self._next)
        self._given[id(array)] = (array, _InSlot(shape, dtype.str, self._next))
        self._next = -(-(self._next + num_bytes) // _ALIGNMENT) * _ALIGNMENT
        return array

    def answer(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | _InSlot]:
        """The batch as it goes through the pipe: of what is in the slot, where it lies."""
        return {
            name: self._given[id(array)][1] if id(array) in self._given else array
            for name, array in batch.items()
        }


def _from_slot(value: np.ndarray | _InSlot, slot: mmap.mmap) -> np.ndarray:
    if isinstance(value, _InSlot):
        return np.ndarray(value.shape, value.dtype, buffer=slot, offset=value.offset)
    return value


def _work(reader: BatchReader, pipe: Connection, slots: list[mmap.mmap], reading: Reading) -> None:
    """Answer the trainer's requests until it closes the pipe; the life of a worker process."""
    paddle.disable_signal_handler()  # they print a trace inside of which a process can hang
    for each in signal.Signals:
        if each.name in _LEFT_TO_THE_TRAINER:
            signal.signal(each, signal.SIG_IGN)
    reader.dataset.on_read = reading.begin
    gc.freeze()  # the trainer's objects are not collected here, nor their pages copied
    cv2.setNumThreads(0)  # its pool does not survive a fork, and processes are the parallelism
    threading.Thread(target=_exit_after_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # the trainer has gone
        while True:
            slot, position = pipe.recv()
            pipe.send(_answer(reader, position, slots[slot]))


def _answer(
    reader: BatchReader, position: tuple[int, list[int]], slot: mmap.mmap
) -> Mapping[str, object]:
    filled = _Slot(slot)
    try:
        return filled.answer(reader.read(position, filled.room_for))
    except PaddleVideoError as error:
        content = {"class": type(error).__name__, "message": str(error)}
    except Exception:  # noqa: BLE001 - a defect of ours; raised again in the main process
        content = {"class": "", "message": traceback.format_exc()}
    return {"error": json.dumps(content)}


def _raise(content: str) -> NoReturn:
    error = json.loads(content)
    if error["class"]:
        raise _ERRORS.get(error["class"], DataError)(error["message"])
    raise RuntimeError(f"in a worker process of the data loader:\n{error['message']}")


def _exit_after_parent() -> None:
    """End this worker when its trainer is gone.

    The pipe tells it too, unless another child of the trainer has inherited its other end.
    """
    parent = multiprocessing.parent_process()
    while parent is not None and os.getppid() == parent.pid:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)
