"""Watches reading: a sample that is read for too long is named, and may end the training.

A file on a dead mount, or a pipe that nobody writes to, blocks the process that opens it without
an error. Which sample each process reads is kept where the trainer can see it.
"""

import logging
import mmap
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from paddlevideo.loader.dataset.base import ClipDataset
from paddlevideo.utils.errors import DataError

logger = logging.getLogger(__name__)

_NOTHING = -1


@dataclass(frozen=True)
class Patience:
    """How long a batch is waited for.

    Attributes:
        warn_seconds: after which a warning names the sample that is read; again at twice the time.
        timeout: seconds after which it is an error; None: never.
    """

    warn_seconds: float = 60.0
    timeout: float | None = None


class Reading:
    """The number of the sample that a process reads, seen by another one through shared memory."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.begin(_NOTHING)

    def begin(self, index: int) -> None:
        """A sample is read from now on."""
        struct.pack_into("<q", self._memory, 0, index)

    def named(self, dataset: ClipDataset) -> str:
        """The file that is read, and where it is listed."""
        (index,) = struct.unpack_from("<q", self._memory, 0)
        if not 0 <= index < len(dataset.records):
            return "its first sample"
        record = dataset.records[index]
        return f"{record.path} (listed in {record.where})"

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()


class Wait:
    """One wait for a batch: when to look again, and what to say then.

    Args:
        who: is waited for, such as ``a worker process of the data loader``.
        named: what is read at the time.
    """

    def __init__(self, patience: Patience, who: str, named: Callable[[], str]) -> None:
        self._patience, self._who, self._named = patience, who, named
        self._start = time.monotonic()
        self._warn_after = patience.warn_seconds

    def seconds_left(self) -> float:
        """Until `check` has something to say."""
        timeout = self._patience.timeout
        next_after = self._warn_after if timeout is None else min(self._warn_after, timeout)
        return max(0.0, self._start + next_after - time.monotonic())

    def check(self) -> None:
        """Warn where it is time.

        Raises:
            DataError: the time is up.
        """
        passed = time.monotonic() - self._start
        timeout = self._patience.timeout
        if timeout is not None and passed >= timeout:
            raise DataError(
                f"{self._who} has read {self._named()} for {passed:.0f} s without an end, longer "
                "than DATASET.worker_timeout; is its disk or mount gone?"
            )
        if passed >= self._warn_after:
            logger.warning(
                "%s has read %s for %.0f s; is its disk or mount gone?",
                self._who, self._named(), passed,
            )  # fmt: skip
            self._warn_after *= 2


@contextmanager
def watched_here(dataset: ClipDataset, warn_seconds: float) -> Iterator[Callable[[bool], None]]:
    """Have a thread warn while this process itself reads a batch for too long.

    Yields a function that is told when reading begins (True) and ends (False).
    """
    reading = Reading()
    state: list[Wait | None] = [None]
    changed = threading.Condition()
    left = threading.Event()

    def tell(begins: bool) -> None:
        with changed:
            patience = Patience(warn_seconds)
            who = "this process"
            state[0] = Wait(patience, who, lambda: reading.named(dataset)) if begins else None
            changed.notify()

    def watch() -> None:
        with changed:
            while not left.is_set():
                wait = state[0]
                changed.wait(None if wait is None else wait.seconds_left())
                if wait is not None and wait is state[0]:
                    wait.check()

    dataset.on_read = reading.begin
    threading.Thread(target=watch, daemon=True, name="clip reader's watch").start()
    try:
        yield tell
    finally:
        dataset.on_read = None
        left.set()
        tell(False)
