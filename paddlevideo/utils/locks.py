"""A file that one process holds; whatever ends the process lets go of it."""

import errno
import json
import os
import socket
import sys
import time
from pathlib import Path
from types import TracebackType

from paddlevideo.utils.errors import ConfigError, SaveError

if sys.platform != "win32":
    import fcntl

_MOST_BYTES = 1000


class FileLock:
    """Held from entering the block to its end, by a lock that child processes do not inherit.

    Where the system or the mount has no locks nothing is held. The file stays; it says who holds
    or held it.

    Args:
        path: of the file.
        purpose: what the holder does, for the message: ``"is training in this folder"``.
    """

    def __init__(self, path: Path, purpose: str) -> None:
        self.path = path
        self.purpose = purpose
        self._handle = -1

    def __enter__(self) -> "FileLock":
        """Take it.

        Raises:
            ConfigError: another process holds it.
            SaveError: the file cannot be written.
        """
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._take()
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, (json.dumps(holder) + "\n").encode(), 0)
            os.fsync(self._handle)
        except OSError as error:
            self._close()
            raise SaveError(
                f"{self.path} cannot be written: {error.strerror}; nothing could be saved there"
            ) from None
        except ConfigError:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of it."""
        self._close()

    def _take(self) -> None:
        if sys.platform == "win32":
            return
        try:
            fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise ConfigError(self._refusal()) from None
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                raise

    def _refusal(self) -> str:
        try:
            holder = json.loads(os.pread(self._handle, _MOST_BYTES, 0))
            who = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
        except (ValueError, LookupError, TypeError):
            who = "another process"
        return f"{self.path.parent}: {who}, {self.purpose}"

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
