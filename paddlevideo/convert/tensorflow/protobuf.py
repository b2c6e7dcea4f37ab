"""The wire format of protocol buffers: fields by number, and nothing of any schema.

Source: protobuf.dev/programming-guides/encoding.
"""

import struct
from collections.abc import Iterator

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT_BYTES = 10


def read_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """Return an unsigned integer and the position behind it.

    Raises:
        ValueError: the data ends within it, or it is longer than 64 bits need.
    """
    value = 0
    for index, byte in enumerate(data[position : position + _LONGEST_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise ValueError("an integer has no end")


def read_fields(message: bytes | memoryview) -> Iterator[tuple[int, int | bytes]]:
    """Yield (number, value) of each field: integers, or bytes of strings and inner messages.

    Raises:
        ValueError: the message is cut, or holds a kind of field that no schema has today.
    """
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == _VARINT:
            value, position = read_varint(message, position)
        elif kind == _LENGTH:
            size, position = read_varint(message, position)
            value = _take(message, position, size)
            position += size
        elif kind in (_FOUR_BYTES, _EIGHT_BYTES):
            size = 4 if kind == _FOUR_BYTES else 8
            (value,) = struct.unpack("<I" if size == 4 else "<Q", _take(message, position, size))
            position += size
        else:
            raise ValueError(f"a field of unknown kind {kind}")
        yield number, value


def as_bytes(value: int | bytes) -> bytes:
    """A field that must be a string or an inner message."""
    if not isinstance(value, bytes):
        raise ValueError("a number where a string or message is expected")
    return value


def as_int(value: int | bytes) -> int:
    """A field that must be a number."""
    if not isinstance(value, int):
        raise ValueError("a string where a number is expected")
    return value


def _take(message: bytes | memoryview, position: int, size: int) -> bytes:
    taken = bytes(message[position : position + size])
    if len(taken) != size:
        raise ValueError("a field is cut")
    return taken
