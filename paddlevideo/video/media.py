"""`Media`: where the bytes of one video are. It opens itself; a new place is one new subclass."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO

from paddlevideo.utils.errors import DataError
from paddlevideo.utils.windows import Window

MediaKey = tuple[str, int, int]
"""Tells one content from another: a path or digest, the number of bytes, a time of change."""


class Media(ABC):
    """The bytes of one video, wherever they are: decoders open it as often as they need.

    Attributes:
        name: for messages; its ending, as that of a file, helps FFmpeg to tell what it is.
    """

    name: str

    @abstractmethod
    def open(self) -> IO[bytes]:
        """Open it anew, at its first byte; what is opened can be sought in, and is closed alone.

        Raises:
            DataError: it is not there, or is not what it was said to be.
            OSError: it cannot be read.
        """

    @property
    @abstractmethod
    def num_bytes(self) -> int:
        """Its size.

        Raises:
            OSError: it is not there.
        """

    @property
    def path(self) -> str | None:
        """The file that holds it and nothing else; None: there is none."""
        return None

    @property
    def key(self) -> MediaKey | None:
        """What an index of its packets is kept under; None: nothing tells it from another."""
        return None

    def check(self) -> None:
        """Raise `DataError` in plain words for what a video library reports in codes."""
        if self.num_bytes == 0:
            raise DataError(f"{self.name}: the file is empty (0 bytes)")


class FileMedia(Media):
    """A file of its own.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        self.name = path

    @property
    def path(self) -> str:
        """The file."""
        return self.name

    @property
    def num_bytes(self) -> int:
        """See `Media`."""
        return Path(self.name).stat().st_size

    @property
    def key(self) -> MediaKey:
        """Of a file that changed it is another."""
        status = Path(self.name).stat()
        return str(Path(self.name).absolute()), status.st_size, status.st_mtime_ns

    def open(self) -> IO[bytes]:
        """See `Media`."""
        return Path(self.name).open("rb")

    def check(self) -> None:
        """See `Media`; a folder, pipe or device is no video file either."""
        file = Path(self.name)
        if not file.exists():
            raise DataError(f"{self.name}: no such file")
        if file.is_dir():
            raise DataError(
                f"{self.name}: is a folder, not a video file; FrameDecoder reads frame folders"
            )
        if not file.is_file():
            raise DataError(f"{self.name}: is a pipe or device, not a video file")
        super().check()


class BytesMedia(Media):
    """A video in memory.

    Args:
        content: all of it.
        name: see `Media`.
    """

    def __init__(self, content: bytes, name: str = "video") -> None:
        self.name = name
        self._content = content

    @property
    def num_bytes(self) -> int:
        """See `Media`."""
        return len(self._content)

    @property
    def key(self) -> MediaKey:
        """By its content."""
        return hashlib.sha256(self._content).hexdigest(), len(self._content), 0

    def open(self) -> IO[bytes]:
        """See `Media`; without a copy."""
        return io.BytesIO(self._content)


class StreamMedia(Media):
    """An open file object that can be sought in, from its first byte on; it is left open.

    Args:
        file: the object. Nobody else may use it meanwhile.
        name: see `Media`.

    Raises:
        DataError: it cannot be sought in.
    """

    def __init__(self, file: IO[bytes], name: str = "video") -> None:
        if not file.seekable():
            raise DataError(f"{name}: cannot be sought in; give the bytes themselves")
        self.name = name
        self._file = file
        self._lock = threading.Lock()
        self._num_bytes = file.seek(0, os.SEEK_END)

    @property
    def num_bytes(self) -> int:
        """See `Media`."""
        return self._num_bytes

    def open(self) -> IO[bytes]:
        """See `Media`; each has a position of its own."""
        return io.BufferedReader(Window(self._read_at, self._num_bytes))

    def _read_at(self, num_bytes: int, offset: int) -> bytes:
        with self._lock:
            self._file.seek(offset)
            return self._file.read(num_bytes)


def as_media(video: str | Path | bytes | IO[bytes] | Media, name: str = "video") -> Media:
    """Return a path, bytes or an open file object as `Media`.

    Args:
        name: of bytes and file objects, for messages.
    """
    if isinstance(video, Media):
        return video
    if isinstance(video, (str, Path)):
        return FileMedia(str(video))
    if isinstance(video, bytes):
        return BytesMedia(video, name)
    return StreamMedia(video, name)
