"""`Window`: a range of bytes as a file of its own."""

import io
import os
from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""Returns as many bytes from an offset on, or fewer at the end."""


class Window(io.RawIOBase):
    """Bytes that are read by their offset, as a file that can be sought in.

    Args:
        read_at: see `ReadAt`.
        num_bytes: of the window.
        close: called once, when it is closed.
    """

    def __init__(
        self, read_at: ReadAt, num_bytes: int, close: Callable[[], None] | None = None
    ) -> None:
        super().__init__()
        self._read_at, self._num_bytes, self._close = read_at, num_bytes, close
        self._place = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Its position."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, as in any file; not before the first byte."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._num_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"seek to {start + offset}, before the first byte")
        self._place = start + offset
        return self._place

    def readinto(self, buffer: "memoryview[int] | bytearray") -> int:  # type: ignore[override]
        """Read as much as fits, or is left."""
        wanted = min(len(buffer), max(0, self._num_bytes - self._place))
        content = self._read_at(wanted, self._place) if wanted else b""
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)

    def close(self) -> None:
        """Close it, and what it reads from, if that was asked for."""
        if not self.closed and self._close is not None:
            self._close()
        super().close()
