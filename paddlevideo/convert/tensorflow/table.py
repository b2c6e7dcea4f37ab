"""LevelDB's sorted table, the format of a checkpoint's ``.index`` file.

Source: LevelDB, doc/table_format.md. Blocks of prefix-compressed entries, each with a type byte
and a masked CRC-32C; an index block of the positions of the data blocks; a footer of 48 bytes.
"""

import struct
from collections.abc import Iterator

from paddlevideo.convert.tensorflow.crc32c import crc32c, mask
from paddlevideo.convert.tensorflow.protobuf import read_varint
from paddlevideo.utils.limits import how_to_raise, limit

_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER_BYTES = 5  # type of compression, checksum
# A key is stored as what differs from the one before: a short file can hold very long ones.
_LONGEST_KEY_BYTES = 4096
_KEYS_PER_FILE = 32  # bytes of all keys, written out, by those of the file
_MOST_BLOCKS = 10_000
_SHOWN_BYTES = 100
_COMPRESSIONS = {1: "Snappy", 2: "Zstandard", 4: "Zstandard"}


class NotATableError(ValueError):
    """The file is something else, or its end is missing."""


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Return every entry of a table, in its order.

    Raises:
        NotATableError: no footer with the magic number at the end.
        ValueError: a checksum is wrong, or the blocks do not hold together.
    """
    if len(data) < _FOOTER_BYTES or data[-8:] != struct.pack("<Q", _MAGIC):
        raise NotATableError(f"no LevelDB table ends after {len(data)} bytes")
    footer = data[-_FOOTER_BYTES:]
    _, position = _read_handle(footer, 0)  # of the meta blocks, which TensorFlow leaves empty
    index, _ = _read_handle(footer, position)
    entries: dict[bytes, bytes] = {}
    bytes_left, key_bytes_left = len(data), _KEYS_PER_FILE * len(data)
    handles = [handle for _, handle in _read_block(data, *index)]
    if len(handles) > _MOST_BLOCKS:
        raise ValueError(f"it has {len(handles)} blocks; at most {_MOST_BLOCKS} are read")
    for handle in handles:
        block, _ = _read_handle(handle, 0)
        bytes_left -= block[1] + _TRAILER_BYTES
        if bytes_left < 0:
            raise ValueError("its blocks overlap")
        for key, value in _read_block(data, *block):
            key_bytes_left -= len(key)
            if key_bytes_left < 0:
                raise ValueError(f"its keys are over {_KEYS_PER_FILE} times as long as the file")
            if len(entries) >= limit("tensors"):
                raise ValueError(f"it has more entries; {how_to_raise('tensors')}")
            if key in entries:
                raise ValueError(f"the key {key[:_SHOWN_BYTES]!r} comes twice")
            entries[key] = value
    return entries


def _read_handle(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    """(offset, size) of a block, and the position behind."""
    offset, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return (offset, size), position


def _read_block(data: bytes, offset: int, size: int) -> list[tuple[bytes, bytes]]:
    """The entries of one block, after its checksum has been verified."""
    raw = data[offset : offset + size + _TRAILER_BYTES]
    if len(raw) != size + _TRAILER_BYTES:
        raise ValueError(f"the block at byte {offset} is cut")
    kind, checksum = raw[size], struct.unpack_from("<I", raw, size + 1)[0]
    if mask(crc32c(raw[: size + 1])) != checksum:
        raise ValueError(f"the checksum of the block at byte {offset} is wrong")
    if kind != 0:
        raise ValueError(f"blocks are compressed ({_COMPRESSIONS.get(kind, kind)})")
    (num_restarts,) = struct.unpack_from("<I", raw, size - 4) if size >= 4 else (0,)
    return list(_read_entries(raw[: max(size - 4 - 4 * num_restarts, 0)]))


def _read_entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    key, position, num_entries, num_key_bytes = b"", 0, 0, 0
    most_entries, most_key_bytes = limit("tensors"), _KEYS_PER_FILE * len(content)
    while position < len(content):
        shared, position = read_varint(content, position)
        unshared, position = read_varint(content, position)
        value_size, position = read_varint(content, position)
        end = position + unshared + value_size
        if shared > len(key) or end > len(content):
            raise ValueError("an entry does not fit its block")
        num_entries, num_key_bytes = num_entries + 1, num_key_bytes + shared + unshared
        if shared + unshared > _LONGEST_KEY_BYTES or num_key_bytes > most_key_bytes:
            raise ValueError("its keys are far longer than those of a checkpoint")
        if num_entries > most_entries:
            raise ValueError(f"it has more entries; {how_to_raise('tensors')}")
        key = key[:shared] + content[position : position + unshared]
        yield key, content[position + unshared : end]
        position = end
