"""Read ``.safetensors``: the header is compared with the file before anything is made of it.

Source: the format's own description. Eight bytes of a length, so much JSON of types, shapes and
positions, and the numbers; every byte of them belongs to exactly one tensor.
"""

import json
import math
import struct
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path

import numpy as np

from paddlevideo.utils.damage import damage_of, open_regular, shown
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.nodes import Node

_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"
_MOST_AXES = 32  # of an array, to NumPy
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "C64": "<c8",
}  # fmt: skip


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Return ``{name: array}``.

    Raises:
        WeightsError: missing, damaged, or of numbers that NumPy does not have.
    """
    with open_regular(path) as (file, size), damage_of(path, "a safetensors file"):
        header = _read_header(file, size)
        num_data_bytes = size - file.tell()
        positions = {name: _position(path, name, entry) for name, entry in header.items()}
        end = 0
        arrays: dict[str, np.ndarray] = {}
        for name, (dtype, shape, start, stop) in sorted(positions.items(), key=lambda i: i[1][2:]):
            if start != end or stop > num_data_bytes:
                raise ValueError(f"the numbers of {shown(name)} overlap others, or lie outside")
            raw = bytearray(stop - start)
            if file.readinto(raw) != len(raw):
                raise ValueError("cut while it was read")
            arrays[name] = np.frombuffer(raw, dtype).reshape(shape)
            end = stop
        if end != num_data_bytes:
            raise ValueError(f"{num_data_bytes - end} bytes belong to no tensor")
        return arrays


def _read_header(file: BufferedReader, num_bytes: int) -> Node:
    start = file.read(_LENGTH.size)
    if len(start) != _LENGTH.size:
        raise ValueError(f"it has {num_bytes} bytes")
    (length,) = _LENGTH.unpack(start)
    if length > num_bytes - _LENGTH.size:
        raise ValueError("its header is cut")
    if length > limit("weights_header_bytes"):
        raise ValueError(f"its header has {length} bytes; {how_to_raise('weights_header_bytes')}")
    header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_without_repeats)
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    header.pop(_METADATA, None)
    if len(header) > limit("tensors"):
        raise ValueError(f"it has {len(header)} tensors; {how_to_raise('tensors')}")
    return header


def _without_repeats(pairs: list[tuple[str, object]]) -> Node:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("its header has a name twice")
    return table


def _position(path: Path, name: str, entry: object) -> tuple[np.dtype, tuple[int, ...], int, int]:
    """The type and shape of a tensor, and where it begins and ends in the numbers."""
    if not isinstance(entry, Mapping) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the entry of {shown(name)} is not one of a tensor")
    kind, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:  # NumPy has no such number
        raise WeightsError(
            f"{path}: weights of type {shown(kind)} cannot be read; save them as float32"
        )
    if not _are_sizes(shape) or not _are_sizes(span) or len(span) != 2:
        raise ValueError(f"the shape or position of {shown(name)} is no list of sizes")
    dtype: np.dtype = np.dtype(_DTYPES[kind])
    if len(shape) > _MOST_AXES or math.prod(shape) * dtype.itemsize != span[1] - span[0]:
        raise ValueError(f"{shown(name)} is not of the length that its shape needs")
    if span[1] - span[0] > limit("tensor_bytes"):
        raise ValueError(f"{shown(name)} is too large; {how_to_raise('tensor_bytes')}")
    return dtype, tuple(shape), span[0], span[1]


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)
