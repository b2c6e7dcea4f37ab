"""Many files through several processes: one that hangs or crashes costs only its own file."""

import contextlib
import math
import multiprocessing
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from paddlevideo.utils.errors import PaddleVideoError
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.processes import end_process

# What a file may take beyond its limits before its process is ended: opening, hashing, a busy disk.
GRACE_SECONDS = 30.0
# Importing the package takes seconds, more on a busy machine.
_START_SECONDS = 300.0
_LOOK_SECONDS = 1.0
_READY = "ready"


class Died:
    """In place of a result: the process that worked on the file died, or was ended.

    Attributes:
        reason: in words, for the user.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason


def for_each_file(
    work: Callable[[Path], Any],
    paths: Sequence[Path],
    num_workers: int,
    grace_seconds: float = GRACE_SECONDS,
) -> Iterator[tuple[int, Any]]:
    """Yield (index of the path, result or `Died`) for every file, as they become ready.

    Args:
        work: called in a process of its own; a function of a module, its result can be pickled.
        paths: the files.
        num_workers: processes, at least 1.
        grace_seconds: how much longer than its limits allow a file may take.

    Raises:
        PaddleVideoError: ``work`` raised it, or the processes do not start.
        RuntimeError: ``work`` raised anything else; with its traceback.
    """
    if not paths:
        return
    crew = _Crew(work, paths, max(1, min(num_workers, len(paths))), grace_seconds)
    try:
        yield from crew.results()
    finally:
        crew.close()


class _Worker:
    """One process, the pipe to it, and the file that it has."""

    def __init__(self, work: Callable[[Path], Any]) -> None:
        context = multiprocessing.get_context("spawn")  # Paddle's threads do not survive a fork
        self.pipe, theirs = context.Pipe()
        self.index: int | None = None
        self.is_ready = False
        self.deadline = time.monotonic() + _START_SECONDS
        self.process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is seen when the process dies

    def is_late(self) -> bool:
        """Whether it has had its file, or its start, for too long."""
        return time.monotonic() > self.deadline


class _Crew:
    """Hands out files, collects results, replaces processes that died."""

    def __init__(
        self,
        work: Callable[[Path], Any],
        paths: Sequence[Path],
        num_workers: int,
        grace_seconds: float,
    ) -> None:
        self._work = work
        self._paths = paths
        self._grace_seconds = grace_seconds
        self._waiting = deque(range(len(paths)))
        self._deaths = [0] * len(paths)
        self._workers = [_Worker(work) for _ in range(num_workers)]

    def results(self) -> Iterator[tuple[int, Any]]:
        """Yield results until every file has one."""
        left = len(self._paths)
        while left:
            for worker in self._workers:
                if worker.is_late():
                    worker.process.kill()  # its pipe ends, which the wait below sees
            by_pipe: dict[Any, _Worker] = {worker.pipe: worker for worker in self._workers}
            for pipe in wait(list(by_pipe), timeout=_LOOK_SECONDS):
                found = self._hear(by_pipe[pipe])
                if found is not None:
                    left -= 1
                    yield found

    def _hear(self, worker: _Worker) -> tuple[int, Any] | None:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            return self._replace(worker)
        if isinstance(message, BaseException):
            raise message
        index = worker.index
        worker.is_ready = True
        self._give_work(worker)
        return None if index is None else (index, message)

    def _give_work(self, worker: _Worker) -> None:
        worker.index, worker.deadline = None, math.inf
        if not self._waiting:
            return
        index = self._waiting.popleft()
        path = self._paths[index]
        try:
            worker.pipe.send(path)
        except OSError:  # it died idle: `results` sees the pipe's end, and no file is to blame
            self._waiting.appendleft(index)
            return
        worker.index = index
        worker.deadline = time.monotonic() + _most_seconds(path) + self._grace_seconds

    def _replace(self, worker: _Worker) -> tuple[int, Any] | None:
        """Start another process; the file fails if it is the second one to die of it, or hung."""
        was_late = worker.is_late()
        end_process(worker.process)
        worker.pipe.close()
        how = "took too long" if was_late else _how_it_ended(worker.process.exitcode)
        if not worker.is_ready:
            raise PaddleVideoError(
                f"a process that checks videos {how} when it started; fewer processes need less "
                "memory"
            )
        self._workers.remove(worker)
        index, failed = worker.index, None
        if index is not None:
            self._deaths[index] += 1
            if was_late or self._deaths[index] > 1:
                what = how_to_raise("read_seconds") if was_late else "it may be damaged, or too big"
                failed = index, Died(f"the process that read it {how}; {what}")
            else:
                self._waiting.appendleft(index)
        if self._waiting:
            self._workers.append(_Worker(self._work))
        return failed

    def close(self) -> None:
        """End all processes; they write nothing, so at any time."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            end_process(worker.process)
            worker.pipe.close()


def _most_seconds(path: Path) -> float:
    try:
        megabytes = path.stat().st_size / 1e6
    except (OSError, ValueError):
        megabytes = 0.0
    reading = limit("read_seconds") + megabytes * limit("read_seconds_per_megabyte")
    return limit("open_seconds") + reading


def _how_it_ended(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"


def _serve(pipe: Connection, work: Callable[[Path], Any]) -> None:
    """A worker process: answers paths with results until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Paddle's handler may wait for ever
    with contextlib.suppress(EOFError, OSError):  # the first process is gone, which is no defect
        try:
            pipe.send(_READY)
            while True:
                pipe.send(work(pipe.recv()))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except PaddleVideoError as error:
            pipe.send(error)
        except Exception:  # noqa: BLE001 - a defect: raised, with its traceback, in the first process
            pipe.send(RuntimeError(f"in a worker process:\n{traceback.format_exc()}"))
