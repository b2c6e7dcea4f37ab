"""Writes beside the training: a thread, one write at a time, and what becomes of one that fails."""

import logging
import threading
from collections.abc import Callable

from paddlevideo.utils.errors import SaveError

logger = logging.getLogger(__name__)

_MOST_FAILURES = 3  # in a row
_LONGEST_WAIT = 1.0  # seconds; a signal's handler runs between two waits


class Saver:
    """Runs writes in a thread, one after the other.

    A write that the disk refuses is a warning, and is left out; the next one is tried as ever. The
    third in a row that fails, or one that fails in another way, is raised by `check`.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._failures = 0
        self._last_failure = ""

    @property
    def is_busy(self) -> bool:
        """Whether a write is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, what: str, write: Callable[[], None]) -> None:
        """Have ``write`` run, after the one that is under way. What it writes must be copies.

        Args:
            what: is written, for messages.

        Raises:
            SaveError: see `check`.
        """
        self.wait()
        self.check()
        self._thread = threading.Thread(target=self._run, args=(what, write), name="saver")
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being written."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(_LONGEST_WAIT)
        self._thread = None

    def check(self) -> None:
        """Raise what ended a write, if the training must not go on with that.

        Raises:
            SaveError: three writes in a row have failed.
            NonFiniteError: what was to be written is not finite.
        """
        if self._error is not None:
            error, self._error = self._error, None
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

    def _run(self, what: str, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self._failures += 1
            self._last_failure = _reason(what, error)
            if self._failures >= _MOST_FAILURES:
                self._error = SaveError(
                    f"{self._last_failure}; {self._failures} saves in a row have failed. What was "
                    "saved before is whole: make room or mend the folder and resume"
                )
            else:
                logger.warning(
                    "%s; training goes on and tries again at the next save (%d of %d in a row)",
                    self._last_failure, self._failures, _MOST_FAILURES,
                )  # fmt: skip
        except BaseException as error:  # noqa: BLE001 - raised again in the training's own thread
            self._error = error
        else:
            self._failures = 0


def _reason(what: str, error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{what} could not be saved: {where}{error.strerror or error}"
