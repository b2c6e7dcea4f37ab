"""Many files through several processes: one that hangs or crashes costs only its own file."""

import contextlib
import math
import multiprocessing
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Generic, TypeVar

from paddlevideo.utils.errors import DataError, PaddleVideoError
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.processes import end_process

Result = TypeVar("Result")
Work = Callable[[Sequence[Path]], Sequence[Result]]
"""Gives a result for each of the files."""

_LOOK_SECONDS = 1.0
READY = "ready"


@dataclass(frozen=True)
class CrewOptions:
    """How the processes work.

    Attributes:
        num_workers: processes, at least 1.
        batch_size: files that are worked on together.
        start_seconds: that a process may take until it is ready; imports take seconds.
        grace_seconds: that files may take beyond the limits of opening and reading them.
        opening: what a process does when it starts, for messages.
    """

    num_workers: int
    batch_size: int = 1
    start_seconds: float = 300.0
    grace_seconds: float = 30.0
    opening: str = "started"


class Died:
    """In place of a result: the process that worked on the file died, or was ended.

    Attributes:
        reason: in words, for the user.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason


def for_each_file(
    start: Callable[[], Work[Result]], paths: Sequence[Path], options: CrewOptions
) -> Iterator[tuple[int, Result | Died]]:
    """Yield (index of the path, result or `Died`) for every file, as they become ready.

    A process that dies (killed, out of memory, a crash in a decoder), or that has files for too
    long, is replaced; each file that it had is tried once more alone, and one that a second process
    dies of, or that takes too long alone, has `Died`.

    Args:
        start: called once in each process; gives what works on the files. It and the results can
            be pickled.
        paths: the files.

    Raises:
        PaddleVideoError: ``start`` or the work raised it.
        DataError: a process died before it was ready.
        RuntimeError: anything else was raised in a process; with its traceback.
    """
    size = options.batch_size
    tasks = [
        _Task(first, tuple(paths[first : first + size])) for first in range(0, len(paths), size)
    ]
    if not tasks:
        return
    crew = _Crew(tasks, start, options)
    left = len(paths)
    try:
        while left:
            for found in crew.wait():
                left -= 1
                yield found
    finally:
        crew.close()


@dataclass(frozen=True)
class _Task:
    """Files that are worked on together.

    Attributes:
        first: index of the first one.
        deaths: processes that died while they had it.
    """

    first: int
    paths: tuple[Path, ...]
    deaths: int = 0


class FileWorker:
    """One process, the pipe to it, and the files that it has.

    The process calls ``start`` and sends `READY`; then it answers each list of paths that comes
    through the pipe with the results, or with the error that was raised, with which it ends.

    Args:
        start: gives what works on the files.
        start_seconds: that it may take until it is ready.
    """

    def __init__(self, start: Callable[[], Work], start_seconds: float) -> None:
        context = multiprocessing.get_context("spawn")  # Paddle's threads do not survive a fork
        self.pipe, theirs = context.Pipe()
        self.task: _Task | None = None
        self.is_ready = False
        self.deadline = time.monotonic() + start_seconds
        self.process = context.Process(target=_serve, args=(theirs, start), daemon=True)
        self.process.start()
        theirs.close()  # so that its end is seen when the process dies

    def is_late(self) -> bool:
        """Whether it has had its files, or its start, for too long."""
        return time.monotonic() > self.deadline


class _Crew(Generic[Result]):
    """Hands out files, collects results, replaces processes that died."""

    def __init__(
        self, tasks: Sequence[_Task], start: Callable[[], Work[Result]], options: CrewOptions
    ) -> None:
        self._waiting = deque(tasks)
        self._start, self._options = start, options
        number = max(1, min(options.num_workers, len(tasks)))
        self._workers = [self._new_worker() for _ in range(number)]

    def _new_worker(self) -> FileWorker:
        return FileWorker(self._start, self._options.start_seconds)

    def wait(self) -> Iterator[tuple[int, Result | Died]]:
        """Wait for a while; what has been finished meanwhile."""
        for worker in self._workers:
            if worker.is_late():
                worker.process.kill()  # its pipe ends, which the wait below sees
        heard = wait([worker.pipe for worker in self._workers], timeout=_LOOK_SECONDS)
        for worker in [worker for worker in self._workers if worker.pipe in heard]:
            yield from self._hear(worker)

    def _hear(self, worker: FileWorker) -> Iterator[tuple[int, Result | Died]]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._replace(worker)
            return
        if isinstance(message, BaseException):
            raise message
        task = worker.task
        worker.is_ready = True
        self._give_work(worker)
        if task is not None:
            for number, (_, result) in enumerate(zip(task.paths, message, strict=True)):
                yield task.first + number, result

    def _give_work(self, worker: FileWorker) -> None:
        worker.task, worker.deadline = None, math.inf
        if not self._waiting:
            return
        task = self._waiting.popleft()
        try:
            worker.pipe.send(task.paths)
        except OSError:  # it died idle: the wait sees the pipe's end, and no file is to blame
            self._waiting.appendleft(task)
            return
        worker.task = task
        seconds = sum(map(_most_seconds, task.paths)) + self._options.grace_seconds
        worker.deadline = time.monotonic() + seconds

    def _replace(self, worker: FileWorker) -> Iterator[tuple[int, Died]]:
        """Put another process in the place of one that died."""
        was_late = worker.is_late()
        end_process(worker.process)
        worker.pipe.close()
        how = "took too long" if was_late else _how_it_ended(worker.process.exitcode)
        if not worker.is_ready:
            raise DataError(
                f"a worker process {how} while it {self._options.opening}; fewer processes need "
                "less memory"
            )
        self._workers.remove(worker)
        task = worker.task
        if task is not None and len(task.paths) == 1 and (task.deaths or was_late):
            what = how_to_raise("read_seconds") if was_late else "it may take too much memory"
            yield task.first, Died(f"the process that worked on it {how}; {what}")
        elif task is not None:
            # The process may have died of something else: each file gets another one, alone.
            alone = [
                _Task(task.first + number, (path,), task.deaths + 1)
                for number, path in enumerate(task.paths)
            ]
            self._waiting.extendleft(reversed(alone))
        if self._waiting:
            self._workers.append(self._new_worker())

    def close(self) -> None:
        """End all processes; they write nothing, so at any time."""
        for worker in self._workers:
            worker.process.kill()  # not terminated: one that still imports would say so aloud
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


def _serve(pipe: Connection, start: Callable[[], Work]) -> None:
    """A worker process: answers lists of files with results until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's to handle
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Paddle's handler may wait for ever
    with contextlib.suppress(EOFError, OSError):  # the first process is gone, which is no defect
        try:
            work = start()
            pipe.send(READY)
            while True:
                pipe.send(list(work(pipe.recv())))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except PaddleVideoError as error:
            pipe.send(error)
        except Exception:  # noqa: BLE001 - a defect: raised, with its traceback, in the first process
            pipe.send(RuntimeError(f"in a worker process:\n{traceback.format_exc()}"))
