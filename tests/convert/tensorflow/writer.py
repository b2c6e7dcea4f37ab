"""Write TensorFlow checkpoints: what the readers must read, made by none of their code.

(The checksum is shared; it has tests of its own against another formula.)
"""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from paddlevideo.convert.tensorflow.crc32c import crc32c, mask

DTYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "bfloat16": 14, "float16": 19}
STRING = 7
GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(*fields) -> bytes:
    """A protocol buffer of (number, int or bytes) fields; zeros are left out, as by TensorFlow."""
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += varint(number << 3 | 2) + varint(len(value)) + value
        elif value:
            out += varint(number << 3) + varint(value)
    return out


def block(entries, restart_interval: int = 16) -> bytes:
    """Prefix-compressed entries, their restarts, type byte and checksum."""
    out, restarts, last = bytearray(), [], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % restart_interval == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += (
            varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        )
        last = key
    restarts = restarts or [0]
    content = bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts)) + b"\0"
    return content + struct.pack("<I", mask(crc32c(content)))


def table(entries: Mapping[bytes, bytes], per_block: int = 50, restart_interval: int = 16) -> bytes:
    """A LevelDB table with ``per_block`` entries in a block."""
    items = sorted(entries.items())
    out, handles = b"", []
    for start in range(0, len(items), per_block):
        part = items[start : start + per_block]
        written = block(part, restart_interval)
        handles.append((part[-1][0] + b"~", varint(len(out)) + varint(len(written) - 5)))
        out += written
    places = []
    for entries_of in ([], handles):
        written = block(entries_of, 1)
        places.append(varint(len(out)) + varint(len(written) - 5))
        out += written
    return out + b"".join(places).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def bfloat16(array: np.ndarray) -> np.ndarray:
    """The upper halves of float32, which are cut off."""
    return (np.ascontiguousarray(array, "<f4").view("<u4") >> 16).astype("<u2")


def write_bundle(
    prefix: Path,
    tensors: Mapping[str, np.ndarray],
    strings: Mapping[str, bytes] | None = None,
    num_shards: int = 1,
    dtype: str | None = None,
    per_block: int = 50,
) -> Path:
    """Write ``prefix.index`` and the data files; ``dtype`` instead of each array's own."""
    shards = [bytearray() for _ in range(num_shards)]
    entries = {b"": message((1, num_shards), (3, message((1, 1))))}

    def add(key: str, raw: bytes, kind: int, shape: tuple, checksum: int) -> None:
        shard = len(entries) % num_shards
        sizes = message(*((2, message((1, size)) if size else b"") for size in shape))
        entries[key.encode()] = (
            message((1, kind))
            + varint(2 << 3 | 2) + varint(len(sizes)) + sizes
            + message((3, shard), (4, len(shards[shard])), (5, len(raw)))
            + varint(6 << 3 | 5) + struct.pack("<I", mask(checksum))
        )  # fmt: skip
        shards[shard] += raw

    for key, array in tensors.items():
        name = dtype or str(array.dtype)
        stored = bfloat16(array) if name == "bfloat16" else array.astype(name, copy=False)
        raw = np.ascontiguousarray(stored).tobytes()
        add(key, raw, DTYPES[name], array.shape, crc32c(raw))
    for key, text in (strings or {}).items():
        length_sum = crc32c(struct.pack("<I", len(text)))
        stored_sum = struct.pack("<I", mask(length_sum))
        raw = varint(len(text)) + stored_sum + text
        add(key, raw, STRING, (), crc32c(text, crc32c(stored_sum, length_sum)))
    prefix.parent.mkdir(parents=True, exist_ok=True)
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(entries, per_block))
    for number, shard in enumerate(shards):
        name = f"{prefix.name}.data-{number:05d}-of-{num_shards:05d}"
        prefix.with_name(name).write_bytes(bytes(shard))
    return prefix


class Objects:
    """A graph of saved objects under construction; node 0 is the root."""

    def __init__(self) -> None:
        self.edges: list[dict[str, int]] = [{}]
        self.keys: dict[int, str] = {}
        self.slots: dict[int, list[int]] = {}

    def node(self) -> int:
        self.edges.append({})
        return len(self.edges) - 1

    def at(self, path: str, start: int = 0) -> int:
        """The node at a path; edges and nodes that are missing are made."""
        for edge in path.split("/"):
            if edge not in self.edges[start]:
                new = self.node()
                self.edges[start][edge] = new
            start = self.edges[start][edge]
        return start

    def parents(self) -> dict[int, list[tuple[int, str]]]:
        found: dict[int, list[tuple[int, str]]] = {}
        for number, edges in enumerate(self.edges):
            for edge, child in edges.items():
                found.setdefault(child, []).append((number, edge))
        return found

    def encoded(self) -> bytes:
        nodes = []
        for number, edges in enumerate(self.edges):
            fields = [(1, message((1, child), (2, edge.encode()))) for edge, child in edges.items()]
            if number in self.keys:
                key = self.keys[number].encode()
                attribute = message((1, b"VARIABLE_VALUE"), (2, b"a/keras/name"), (3, key))
                fields.append((2, attribute))
            for slot in self.slots.get(number, []):
                fields.append((3, message((2, b"rms"), (3, slot))))
            nodes.append(message(*fields))
        return b"".join(varint(1 << 3 | 2) + varint(len(node)) + node for node in nodes)
