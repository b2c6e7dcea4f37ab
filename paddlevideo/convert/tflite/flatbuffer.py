"""Tables and vectors of a FlatBuffers file; every offset and length is checked against the file.

Source: the format's own description (flatbuffers.dev, "Internals"). A table begins with the
distance back to its vtable, which lists where each field lies; a string, vector or table is
referred to by its distance from the reference, and a vector begins with its length. Nothing here
copies more than the vector that is asked for, and nothing follows more than one reference, so a
file that refers to itself costs no more than another.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_UINT16 = struct.Struct("<H")
_INT32 = struct.Struct("<i")
_UINT32 = struct.Struct("<I")
_VTABLE_HEADER_BYTES = 4
_FIELD_BYTES = 2
_REFERENCE_BYTES = 4


@dataclass(frozen=True)
class Table:
    """One table of the file ``data``, which begins at ``position``.

    Raises:
        ValueError: it, or its list of fields, does not lie in the file.
    """

    data: bytes
    position: int

    def __post_init__(self) -> None:
        vtable = self._vtable()
        if vtable + _length16(self.data, vtable) > len(self.data):
            raise ValueError("a list of fields does not lie in the file")

    def scalar(self, field: int, kind: str, default: int = 0) -> int:
        """The integer in ``field``, of the kind that `struct` calls ``kind``."""
        offset = self._field_offset(field)
        if offset is None:
            return default
        form = struct.Struct(f"<{kind}")
        _check(self.data, offset, form.size)
        return int(form.unpack_from(self.data, offset)[0])

    def table(self, field: int) -> "Table | None":
        """The table that ``field`` refers to; None where it is absent."""
        offset = self._field_offset(field)
        return None if offset is None else Table(self.data, _follow(self.data, offset))

    def vector(self, field: int, dtype: str) -> np.ndarray:
        """The numbers of a vector; none where it is absent. They are a view of the file."""
        offset = self._field_offset(field)
        if offset is None:
            return np.empty(0, dtype)
        start, length = self._vector_at(offset, np.dtype(dtype).itemsize)
        return np.frombuffer(self.data, dtype, length, start)

    def tables(self, field: int) -> "Tables":
        """The vector of tables in ``field``; empty where it is absent."""
        offset = self._field_offset(field)
        if offset is None:
            return Tables(self.data, 0, 0)
        return Tables(self.data, *self._vector_at(offset, _REFERENCE_BYTES))

    def text(self, field: int, longest: int) -> str:
        """The string in ``field``, cut after ``longest`` bytes."""
        text = self.vector(field, "u1")[:longest].tobytes()
        return text.decode("utf-8", errors="replace")

    def _vtable(self) -> int:
        _check(self.data, self.position, _INT32.size)
        vtable = self.position - int(_INT32.unpack_from(self.data, self.position)[0])
        _check(self.data, vtable, _VTABLE_HEADER_BYTES)
        return vtable

    def _field_offset(self, field: int) -> int | None:
        """Where ``field`` lies; None where the table leaves it out."""
        vtable = self._vtable()
        entry = _VTABLE_HEADER_BYTES + _FIELD_BYTES * field
        if entry + _FIELD_BYTES > _length16(self.data, vtable):
            return None
        distance = _length16(self.data, vtable + entry)
        return self.position + distance if distance else None

    def _vector_at(self, offset: int, item_bytes: int) -> tuple[int, int]:
        """The first byte and the length of the vector that is referred to at ``offset``."""
        start = _follow(self.data, offset)
        _check(self.data, start, _UINT32.size)
        length = int(_UINT32.unpack_from(self.data, start)[0])
        start += _UINT32.size
        _check(self.data, start, length * item_bytes)
        return start, length


@dataclass(frozen=True)
class Tables(Sequence[Table]):
    """A vector of references to tables, each read when it is asked for."""

    data: bytes
    start: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Table:  # type: ignore[override]
        """One table; `IndexError` behind the last."""
        if not 0 <= index < self.length:
            raise IndexError(index)
        return Table(self.data, _follow(self.data, self.start + _REFERENCE_BYTES * index))

    def __iter__(self) -> Iterator[Table]:
        return (self[index] for index in range(self.length))


def root_of(data: bytes) -> Table:
    """The table that the file begins with."""
    return Table(data, _follow(data, 0))


def _follow(data: bytes, offset: int) -> int:
    _check(data, offset, _UINT32.size)
    return offset + int(_UINT32.unpack_from(data, offset)[0])


def _length16(data: bytes, offset: int) -> int:
    _check(data, offset, _UINT16.size)
    return int(_UINT16.unpack_from(data, offset)[0])


def _check(data: bytes, start: int, size: int) -> None:
    if start < 0 or start + size > len(data):
        raise ValueError("it refers to bytes that are not in the file")
