"""A small FlatBuffers writer: tables as dictionaries, the bytes of buffers last."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

MAGIC = b"TFL3"


@dataclass
class Vector:
    """Numbers of one type."""

    values: np.ndarray


@dataclass
class Table:
    """``{field number: (kind of struct, value) | Table | Vector | str | list of tables}``."""

    fields: dict = field(default_factory=dict)


def encoded(root: Table) -> tuple[bytes, int]:
    """The file, and where the bytes of the buffers begin."""
    out = bytearray(struct.pack("<I", 0) + MAGIC)
    waiting: list[tuple[int, object]] = [(0, root)]
    raw: list[tuple[int, Vector]] = []
    while waiting:
        slot, item = waiting.pop(0)
        if isinstance(item, Vector) and item.values.dtype == np.uint8:
            raw.append((slot, item))
            continue
        _patch(out, slot, _place(out, item, waiting))
    end_of_tables = len(out)
    for slot, item in raw:
        _patch(out, slot, _place(out, item, waiting))
    return bytes(out), end_of_tables


def _patch(out: bytearray, slot: int, place: int) -> None:
    struct.pack_into("<I", out, slot, place - slot)


def _align(out: bytearray, size: int, before: int = 0) -> None:
    out.extend(bytes(-(len(out) + before) % size))


def _place(out: bytearray, item, waiting: list) -> int:
    if isinstance(item, Table):
        return _place_table(out, item, waiting)
    if isinstance(item, str):
        _align(out, 4)
        text = item.encode()
        place = len(out)
        out += struct.pack("<I", len(text)) + text + b"\0"
        return place
    if isinstance(item, Vector):
        _align(out, 16, before=4)
        place = len(out)
        out += struct.pack("<I", len(item.values)) + item.values.tobytes()
        return place
    _align(out, 4)
    place = len(out)
    out += struct.pack("<I", len(item))
    for inner in item:
        waiting.append((len(out), inner))
        out += bytes(4)
    return place


def _place_table(out: bytearray, table: Table, waiting: list) -> int:
    count = max(table.fields, default=-1) + 1
    _align(out, 2)
    vtable = len(out)
    out += bytes(4 + 2 * count)
    _align(out, 8)
    place = len(out)
    out += struct.pack("<i", place - vtable)
    for number, value in table.fields.items():
        is_number = isinstance(value, tuple)
        size = struct.calcsize(f"<{value[0]}") if is_number else 4
        _align(out, size)
        struct.pack_into("<H", out, vtable + 4 + 2 * number, len(out) - place)
        if is_number:
            out += struct.pack(f"<{value[0]}", value[1])
        else:
            waiting.append((len(out), value))
            out += bytes(4)
    struct.pack_into("<HH", out, vtable, 4 + 2 * count, len(out) - place)
    return place


FLOAT, HALF, INT32, INT8 = 0, 1, 2, 9
_NUMBERS = {"<f4": FLOAT, "<f2": HALF, "<i4": INT32, "|i1": INT8}
# Name -> (number of the operation, number of its table of options).
_CODES = {
    "add": (0, 11), "average_pool": (1, 5), "concatenation": (2, 10), "conv": (3, 1),
    "depthwise_conv": (4, 2), "dequantize": (6, 0), "fully_connected": (9, 8), "logistic": (14, 0),
    "mul": (18, 21), "relu6": (21, 0), "reshape": (22, 17), "softmax": (25, 9), "mean": (40, 27),
    "div": (42, 29), "cast": (53, 0), "sum": (74, 27), "quantize": (114, 0), "hard_swish": (117, 0),
    "strided_slice": (45, 32), "custom": (32, 0),
}  # fmt: skip


class Net:
    """A network that is written operation by operation."""

    def __init__(self) -> None:
        self.tensors: list[Table] = []
        self.shapes: list[tuple[int, ...]] = []
        self.buffers: list[bytes] = [b""]
        self.operations: list[tuple[str, list[int], list[int], dict]] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []

    def tensor(self, shape, kind=FLOAT, data: bytes = b"", scale=None, axis=0, name="") -> int:
        """The number of a new tensor, with ``data`` a constant."""
        if data:
            self.buffers.append(data)
        fields: dict = {
            0: Vector(np.array(shape, "<i4")),
            1: ("b", kind),
            2: ("I", len(self.buffers) - 1 if data else 0),
            3: name or f"arith.constant{len(self.tensors)}",
        }
        if scale is not None:
            scale = np.atleast_1d(np.asarray(scale, "<f4"))
            zero = Vector(np.zeros(len(scale), "<i8"))
            fields[4] = Table({2: Vector(scale), 3: zero, 6: ("i", axis)})
        self.tensors.append(Table(fields))
        self.shapes.append(tuple(shape))
        return len(self.tensors) - 1

    def constant(self, array, scale=None, axis=0) -> int:
        """A constant of the array's type."""
        array = np.ascontiguousarray(array)
        kind = _NUMBERS[array.dtype.newbyteorder("<").str]
        return self.tensor(array.shape, kind, array.tobytes(), scale, axis)

    def input(self, shape, kind=FLOAT, name="") -> int:
        """What is handed to the network."""
        self.inputs.append(self.tensor(shape, kind, name=name))
        return self.inputs[-1]

    def op(self, kind: str, inputs, shape, options=None, out_kind=FLOAT, scale=None) -> int:
        """Add an operation; returns the number of its result."""
        out = self.tensor(shape, out_kind, scale=scale, name=f"StatefulPartitionedCall:{kind}")
        self.operations.append((kind, list(inputs), [out], options or {}))
        return out

    def encoded(self) -> tuple[bytes, int]:
        """The file, and where the bytes of the buffers begin."""
        kinds = list(dict.fromkeys(kind for kind, *_ in self.operations))
        codes = [Table({0: ("b", _CODES[k][0]), 3: ("i", _CODES[k][0])}) for k in kinds]
        operations = [
            Table({
                0: ("I", kinds.index(kind)),
                1: Vector(np.array(inputs, "<i4")),
                2: Vector(np.array(outputs, "<i4")),
                **({3: ("B", _CODES[kind][1]), 4: Table(options)} if _CODES[kind][1] else {}),
            })
            for kind, inputs, outputs, options in self.operations
        ]  # fmt: skip
        graph = Table({
            0: self.tensors,
            1: Vector(np.array(self.inputs, "<i4")),
            2: Vector(np.array(self.outputs, "<i4")),
            3: operations,
            4: "main",
        })  # fmt: skip
        buffers = [
            Table({0: Vector(np.frombuffer(data, "u1"))} if data else {}) for data in self.buffers
        ]
        return encoded(Table({0: ("I", 3), 1: codes, 2: [graph], 3: "tests", 4: buffers}))
