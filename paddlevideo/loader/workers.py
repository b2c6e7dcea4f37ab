"""Worker processes: batches through ``paddle.io.DataLoader``, errors as one message.

One set of workers serves all epochs of a training, as one long plan: a process that is forked from
a trainer in full swing makes every page the trainer writes be copied. Paddle's own way to keep
workers, ``persistent_workers``, starts each epoch of Paddle 3.3 with half a second of sleep, and an
epoch that was not read to its end leaves stale batches behind (seen).

An error must not leave a worker as an exception: Paddle would print its traceback, wrap it in
another and stop its reader thread. It travels as a batch of its own instead.
"""

import json
import logging
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import paddle

from paddlevideo.loader.batches import BatchReader
from paddlevideo.loader.index_sampler import IndexSampler
from paddlevideo.utils import errors
from paddlevideo.utils.errors import DataError, PaddleVideoError

logger = logging.getLogger(__name__)

_ERROR = "error"
_PREFETCH_BATCHES = 2
_SHARED_MEMORY = Path("/dev/shm")
_PARENT_CHECK_SECONDS = 1.0


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


class _Tasks:
    """The batch sampler: each task is one whole batch."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __iter__(self) -> Iterator[list[tuple[int, list[int]]]]:
        return ([place] for place in self._plan)

    def __len__(self) -> int:
        return len(self._plan)


class _SafeReader:
    """A `BatchReader` whose errors are batches ``{"error": JSON as uint8}``."""

    def __init__(self, reader: BatchReader) -> None:
        self._reader = reader

    def __getitem__(self, place: tuple[int, list[int]]) -> dict[str, np.ndarray]:
        try:
            return self._reader[place]
        except PaddleVideoError as error:
            content = {"class": type(error).__name__, "message": str(error)}
        except Exception:  # noqa: BLE001 - a defect of ours; raised again in the main process
            content = {"class": "", "message": traceback.format_exc()}
        # Only arrays travel through every version of the loader.
        return {_ERROR: np.frombuffer(json.dumps(content).encode("utf-8"), np.uint8).copy()}

    def __len__(self) -> int:
        return len(self._reader.dataset)


def read_with_workers(
    reader: BatchReader, plan: Plan, num_workers: int
) -> Iterator[dict[str, paddle.Tensor]]:
    """Yield the batches of ``plan``, (epoch, indices) each, in order, read ahead by processes.

    Leaving the loop early, by ``break`` or an error, ends the processes.

    Raises:
        DataError: as the reader does; or a worker process died.
    """
    if not len(plan):
        return
    num_workers = min(num_workers, len(plan))
    loader = paddle.io.DataLoader(
        _SafeReader(reader),
        batch_sampler=_Tasks(plan),
        collate_fn=_only,
        num_workers=num_workers,
        prefetch_factor=_PREFETCH_BATCHES,
        use_shared_memory=_fits_shared_memory(reader, plan, num_workers),
        worker_init_fn=_start_worker,
    )
    batches = iter(loader)
    try:
        for _ in range(len(plan)):
            batch = _next(batches)
            if _ERROR in batch:
                _raise(bytes(batch[_ERROR].numpy()))
            yield batch
    finally:
        # Its thread holds the iterator, so nothing else ends it when the loop is left early.
        batches._try_shutdown_all()


def _next(batches: Iterator[Any]) -> dict[str, paddle.Tensor]:
    try:
        return next(batches)
    except (SystemError, RuntimeError, StopIteration) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"a worker process of the data loader died ({first_line}); it may have been killed for "
            "lack of memory: try fewer DATASET.num_workers, or 0 to see the error itself"
        ) from None


def _raise(content: bytes) -> None:
    error = json.loads(content.decode("utf-8"))
    if error["class"]:
        raise getattr(errors, error["class"], DataError)(error["message"])
    raise RuntimeError(f"in a worker process of the data loader:\n{error['message']}")


def _only(batches: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    (batch,) = batches
    return batch


def _start_worker(_worker: int) -> None:
    """OpenCV's thread pool does not survive a fork, and processes are the parallelism."""
    cv2.setNumThreads(0)
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    """End this worker when its trainer is gone.

    Paddle looks for it only between two tasks; a worker that waits for a task, of a trainer that
    was killed, waits for ever (seen).
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    while os.getppid() == parent.pid:
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(1)


def _fits_shared_memory(reader: BatchReader, plan: Plan, num_workers: int) -> bool:
    """Whether /dev/shm holds the batches under way; a worker that overfills it is killed."""
    if not _SHARED_MEMORY.is_dir():
        return False
    pipeline = reader.dataset.context.pipeline
    clip_bytes = int(np.prod(pipeline.clip_shape())) * np.dtype(pipeline.output_dtype).itemsize
    batches_under_way = _PREFETCH_BATCHES * num_workers + num_workers + 3
    needed = plan.sampler.batch_size * clip_bytes * batches_under_way
    status = os.statvfs(_SHARED_MEMORY)
    free = status.f_bavail * status.f_frsize
    if needed > free:
        logger.warning(
            "shared memory has %d MB free, the loader wants %d MB: batches go through pipes, which "
            "is slower (docker: --shm-size)",
            free // 2**20,
            needed // 2**20,
        )
    return needed <= free
