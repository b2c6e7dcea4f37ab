"""The bytes of a pickle: what is taken from them is never longer than what is left."""

from typing import IO

# A whole number of a weights file: numbers longer than this are slow to write and to read.
_LONGEST_INTEGER_BYTES = 64
_LONGEST_INTEGER_DIGITS = 150


class PickleError(ValueError):
    """The pickle is damaged, or holds what no weights need."""


class PickleSource:
    """A file of ``num_bytes``, read from its start.

    Raises:
        PickleError: from every method, if the file ends before what it asks for.
    """

    def __init__(self, file: IO[bytes], num_bytes: int) -> None:
        self.file = file
        self.num_bytes = num_bytes
        self.num_left = num_bytes

    def require(self, count: int) -> None:
        """Raise unless ``count`` bytes are left."""
        if not 0 <= count <= self.num_left:
            raise PickleError(f"cut: {count} bytes are expected where {self.num_left} are left")

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        self.require(count)
        taken = self.file.read(count)
        self.num_left -= count
        if len(taken) != count:
            raise PickleError("cut while it was read")
        return taken

    def line(self) -> bytes:
        """The bytes up to the next line feed, without it."""
        taken = self.file.readline(self.num_left)
        self.num_left -= len(taken)
        if not taken.endswith(b"\n"):
            raise PickleError("cut: a line has no end")
        return taken[:-1]

    def integer(self, num_bytes: int) -> int:
        """A signed little-endian number."""
        if not 0 <= num_bytes <= _LONGEST_INTEGER_BYTES:
            raise PickleError(f"a whole number of {num_bytes} bytes")
        return int.from_bytes(self.take(num_bytes), "little", signed=True)

    def decimal(self) -> int:
        """A number as text; ``00`` and ``01`` are what Python 2 had for truth values."""
        text = self.line().rstrip(b"L")
        if text in (b"00", b"01"):
            return text == b"01"
        if len(text) > _LONGEST_INTEGER_DIGITS:
            raise PickleError(f"a whole number of {len(text)} digits")
        return int(text)

    def quoted(self) -> str:
        """Python 2's quoted text."""
        text = self.line().strip()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise PickleError("a text without quotes")
        return text[1:-1].decode("ascii").encode("ascii").decode("unicode_escape")
