"""Logging, configured by entry points only: a console, and a log file beside the run.

Library code asks for ``logging.getLogger(__name__)`` and nothing else.
"""

import functools
import logging
import os
import sys
import threading
from collections import deque
from pathlib import Path

from tqdm import tqdm

PACKAGE = "paddlevideo"
_FORMAT = "[%(asctime)s] %(levelname)s: %(message)s"
_DATE = "%m/%d %H:%M:%S"


class _TqdmHandler(logging.StreamHandler):
    """Console handler that writes above a progress bar instead of through it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record above the progress bar, if there is one."""
        try:
            # As one write: other processes' lines do not come in between.
            tqdm.write(self.format(record) + "\n", file=self.stream, end="")
            self.flush()
        except (OSError, ValueError):
            self.handleError(record)


class _LogFile(logging.FileHandler):
    """A log file; a line that the disk refuses is said once on stderr, and left out."""

    _has_failed = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Say it once, without the traceback of each line."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._has_failed:
            self._has_failed = True
            reason = error.strerror or str(error)
            sys.stderr.write(f"{self.baseFilename} cannot be written: {reason}; lines are lost\n")


class _Kept(logging.Handler):
    """Keeps the last lines of the time before the log file is known: what opening a recipe said."""

    def __init__(self) -> None:
        super().__init__()
        self.records: deque[logging.LogRecord] = deque(maxlen=100)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def setup_logging(level: str = "INFO", log_file: Path | None = None, quiet: bool = False) -> None:
    """Send the package's log lines to stderr and, if given, to ``log_file``.

    Args:
        level: a name of the logging module: DEBUG, INFO, WARNING, ERROR.
        log_file: appended to, after what was said since the console alone was set up; its folder
            must exist.
        quiet: warnings only on the console (ranks other than 0).
    """
    _use_own_lock()
    _renew_lock_in_children()
    logger = logging.getLogger(PACKAGE)
    earlier = [r for h in logger.handlers if isinstance(h, _Kept) for r in h.records]
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)
    logger.propagate = False
    console = _TqdmHandler(sys.stderr)
    console.setLevel(logging.WARNING if quiet else level)
    second = _Kept() if log_file is None else _LogFile(log_file, encoding="utf-8")
    for handler in (console, second):
        handler.setFormatter(logging.Formatter(_FORMAT, _DATE))
        logger.addHandler(handler)
    for record in earlier:
        if record.levelno >= logger.level:
            second.handle(record)


def _use_own_lock() -> None:
    """Let lines and bars wait for threads of this process alone.

    tqdm's lock is shared with forked processes: a worker that is killed while it writes a line
    would never give it back, and everyone would wait for it.
    """
    tqdm.set_lock(threading.RLock())


@functools.cache
def _renew_lock_in_children() -> None:
    """A thread that holds the lock at a fork is not there in the new process to give it back."""
    if "register_at_fork" in vars(os):  # not on Windows, which has no fork
        os.register_at_fork(after_in_child=_use_own_lock)
