"""Writes beside the training: a thread, one write at a time, and what becomes of one that fails."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from paddlevideo.utils.errors import SaveError

logger = logging.getLogger(__name__)

_MOST_FAILURES = 3  # in a row
_LONGEST_WAIT = 1.0  # seconds; a signal's handler runs between two waits


class Saver:
    """Runs writes in a thread, one after the other.

    A write that the disk refuses is a warning, and is left out; the next one is tried as ever. The
    third in a row that fails, or one that fails in another way, ends the training. All of that is
    found out by `check`, in the thread of the training.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "saver")  # its thread begins with the first write
        self._write: Future[None] | None = None
        self._what = ""
        self._failures = 0
        self._last_failure = ""

    def start(self, what: str, write: Callable[[], None]) -> None:
        """Have ``write`` run, after the one that is under way. What it writes must be copies.

        Args:
            what: is written, for messages.

        Raises:
            SaveError: see `check`.
        """
        self.wait()
        self.check()
        self._what = what
        self._write = self._pool.submit(write)

    def wait(self) -> None:
        """Wait until nothing is being written."""
        while self._write is not None and not self._write.done():
            wait([self._write], _LONGEST_WAIT)

    def check(self) -> None:
        """Say what became of a write that has ended.

        Raises:
            SaveError: three in a row have failed.
            NonFiniteError: what was to be written is not finite.
        """
        if self._write is None or not self._write.done():
            return
        error, self._write = self._write.exception(), None
        if error is None:
            self._failures = 0
        elif isinstance(error, OSError):
            self._note(error)
        else:
            raise error

    def finish(self) -> None:
        """Wait for the last write, which must not have failed.

        Raises:
            SaveError: it has.
        """
        self.wait()
        self.check()
        if self._failures:
            raise SaveError(f"{self._last_failure}; it was the last save of the run")

    def close(self) -> None:
        """End the thread, after the write that is under way."""
        self.wait()
        self._pool.shutdown()

    def _note(self, error: OSError) -> None:
        self._failures += 1
        where = f"{error.filename}: " if error.filename else ""
        reason = error.strerror or str(error)
        self._last_failure = f"{self._what} could not be saved: {where}{reason}"
        if self._failures >= _MOST_FAILURES:
            raise SaveError(
                f"{self._last_failure}; {self._failures} saves in a row have failed. What was "
                "saved before is whole: make room or mend the folder, and resume"
            )
        logger.warning(
            "%s; training goes on and tries again at the next save (%d of %d in a row)",
            self._last_failure, self._failures, _MOST_FAILURES,
        )  # fmt: skip
