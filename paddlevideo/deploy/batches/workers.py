"""Many files through several processes, each with a predictor of its own."""

import contextlib
import math
import multiprocessing
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from paddlevideo.deploy.batches.prediction import VideoFailure, predict_files
from paddlevideo.deploy.bundle import Bundle
from paddlevideo.deploy.engines import EngineOptions
from paddlevideo.deploy.predictor import VideoPredictor, VideoResult, open_predictor
from paddlevideo.utils.cpu_threads import available_cores
from paddlevideo.utils.device import leave_signals_alone
from paddlevideo.utils.errors import DataError, PaddleVideoError
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.processes import end_process

Opener = Callable[[Bundle, EngineOptions], VideoPredictor]

_READY = "ready"
# Opening a bundle takes seconds, compiling it for the first time a minute on a busy machine.
_OPEN_SECONDS = 600.0
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class _Task:
    """Files that go through the network together.

    Attributes:
        place: of the first one in the list.
        deaths: processes that died while they had it.
    """

    place: int
    paths: tuple[Path, ...]
    deaths: int = 0


def predict_with_workers(
    bundle: Bundle,
    options: EngineOptions,
    paths: Sequence[Path],
    batch_size: int,
    top_k: int,
    num_workers: int,
    opener: Opener = open_predictor,
) -> Iterator[VideoResult | VideoFailure]:
    """Yield a result or a failure for every file, in order, by ``num_workers`` processes.

    Each opens the bundle itself. Unless ``options`` says how many, its engine has a fair share of
    the CPU cores. A process that dies (killed, out of memory, a crash in a decoder), or that has a
    file for longer than the limit ``read_seconds``, is replaced; of the batch that it had, each
    file is tried once more alone, and one that a second process dies of is a failure.

    Args:
        opener: opens the bundle, in the worker.

    Raises:
        PaddleVideoError: as a worker met it when it opened the bundle.
        DataError: a process died before it had opened the bundle.
    """
    if options.cpu_threads is None:
        options = replace(options, cpu_threads=max(1, available_cores() // num_workers))
    tasks = [
        _Task(start, tuple(paths[start : start + batch_size]))
        for start in range(0, len(paths), batch_size)
    ]
    crew = _Crew(tasks, min(num_workers, len(tasks)), (bundle, options, top_k, opener))
    done: dict[int, VideoResult | VideoFailure] = {}
    try:
        for place in range(len(paths)):
            while place not in done:
                done.update(crew.more())
            yield done.pop(place)
    finally:
        crew.close()


class _Worker:
    """One process, the pipe to it, and what it is doing."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        # Spawned: Paddle's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.task: _Task | None = None
        self.is_ready = False
        self.deadline = time.monotonic() + _OPEN_SECONDS
        self.process = context.Process(target=_work, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is seen when the process dies

    def is_late(self) -> bool:
        """Whether it has had its files, or the opening of the bundle, for too long."""
        return time.monotonic() > self.deadline


class _Crew:
    """Hands out tasks, collects results, replaces the dead."""

    def __init__(
        self, tasks: Sequence[_Task], num_workers: int, arguments: tuple[Any, ...]
    ) -> None:
        self._waiting = deque(tasks)
        self._arguments = arguments
        self._workers = [_Worker(arguments) for _ in range(num_workers)]

    def more(self) -> dict[int, VideoResult | VideoFailure]:
        """Wait for news; what has been finished, by its place in the list."""
        finished: dict[int, VideoResult | VideoFailure] = {}
        busy = {worker.pipe: worker for worker in self._workers}
        for worker in [worker for worker in self._workers if worker.is_late()]:
            worker.process.kill()  # its pipe ends, which the wait below sees
        for pipe in wait(list(busy), timeout=_LOOK_SECONDS):
            worker = busy[pipe]  # type: ignore[index]
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                finished.update(self._bury(worker))
                continue
            if isinstance(message, BaseException):
                raise message
            if worker.task is not None:
                places = range(worker.task.place, worker.task.place + len(worker.task.paths))
                finished.update(zip(places, message, strict=True))
            worker.is_ready = True
            self._give_work(worker)
        return finished

    def _give_work(self, worker: _Worker) -> None:
        worker.task, worker.deadline = None, math.inf
        if not self._waiting:
            return
        task = self._waiting.popleft()
        try:
            worker.pipe.send(task.paths)
        except OSError:  # it died idle: `more` sees the pipe's end, and no file is to blame
            self._waiting.appendleft(task)
            return
        worker.task = task
        worker.deadline = time.monotonic() + len(task.paths) * limit("read_seconds") + _OPEN_SECONDS

    def _bury(self, worker: _Worker) -> dict[int, VideoFailure]:
        """Put a new process in a dead one's place; its file fails if it is the second to die."""
        was_late = worker.is_late()
        end_process(worker.process)
        worker.pipe.close()
        how = "took too long" if was_late else _how_it_ended(worker.process.exitcode)
        if not worker.is_ready:
            raise DataError(
                f"a worker process {how} while it opened the model; fewer --workers need less "
                "memory"
            )
        self._workers.remove(worker)
        task, failures = worker.task, {}
        if task is not None and len(task.paths) == 1 and (task.deaths or was_late):
            path = str(task.paths[0])
            what = how_to_raise("read_seconds") if was_late else "it may take too much memory"
            failures[task.place] = VideoFailure(
                path, f"{path}: the process that worked on it {how}; {what}"
            )
        elif task is not None:
            # The process may have died of something else: each gets another one, alone.
            alone = [
                _Task(task.place + n, (path,), task.deaths + 1) for n, path in enumerate(task.paths)
            ]
            self._waiting.extendleft(reversed(alone))
        if self._waiting:
            self._workers.append(_Worker(self._arguments))
        return failures

    def close(self) -> None:
        """End all processes; they write nothing, so at any time."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            end_process(worker.process)
            worker.pipe.close()


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"


def _work(
    pipe: Connection, bundle: Bundle, options: EngineOptions, top_k: int, opener: Opener
) -> None:
    """A worker process: opens the bundle, then answers lists of files until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's to handle
    leave_signals_alone()
    with contextlib.suppress(EOFError, OSError):  # the first process is gone, which is no defect
        try:
            predictor = opener(bundle, options)
            pipe.send(_READY)
            while True:
                paths = pipe.recv()
                pipe.send(list(predict_files(predictor, paths, len(paths), top_k)))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except PaddleVideoError as error:
            pipe.send(error)
        except Exception:  # noqa: BLE001 - a defect: raised, with its traceback, in the first process
            pipe.send(RuntimeError(f"in a worker process:\n{traceback.format_exc()}"))
