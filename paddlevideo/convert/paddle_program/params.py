"""The ``.pdiparams`` file: tensors one after the other, without names.

Each is a number of versions and nestings, a protocol-buffer description (1: type, 2: sizes), and
its numbers. The program's parameters lie in it in the order of their names.
"""

import math
import struct
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path

import numpy as np

from paddlevideo.convert.tensorflow.protobuf import as_int, read_fields
from paddlevideo.utils.damage import damage_of, open_regular

WHAT = "the weights of a program of Paddle"

_HEAD = struct.Struct("<IQIi")  # version, nestings, version, bytes of the description
_TYPES = {2: "<i4", 3: "<i8", 4: "<f2", 5: "<f4", 6: "<f8"}  # Paddle's numbers of element types
_TYPE, _SIZES = 1, 2
_MOST_DESCRIPTION = 1000


def read_params(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return the tensors of a file by name.

    Args:
        shapes: of every parameter of the program.

    Raises:
        WeightsError: missing, damaged, or not these parameters.
    """
    arrays = {}
    with open_regular(path) as (file, size), damage_of(path, WHAT):
        for name in sorted(shapes):
            array = _read_tensor(file, size)
            if array.shape != shapes[name]:
                raise ValueError(
                    f"{name} is {list(array.shape)}, in the program {list(shapes[name])}"
                )
            arrays[name] = array
        if file.tell() != size:
            raise ValueError(f"{size - file.tell()} bytes belong to no parameter of the program")
    return arrays


def _read_tensor(file: BufferedReader, file_size: int) -> np.ndarray:
    version, nestings, tensor_version, description_size = _HEAD.unpack(file.read(_HEAD.size))
    if version or nestings or tensor_version or not 0 < description_size <= _MOST_DESCRIPTION:
        raise ValueError("a tensor has no valid beginning")
    kind, sizes = 0, []
    for number, value in read_fields(file.read(description_size)):
        if number == _TYPE:
            kind = as_int(value)
        elif number == _SIZES:
            sizes.append(as_int(value))
    if kind not in _TYPES:
        raise ValueError(f"a tensor has elements of the unknown type {kind}")
    dtype: np.dtype[np.generic] = np.dtype(_TYPES[kind])
    num_bytes = math.prod(sizes) * dtype.itemsize
    if num_bytes > file_size - file.tell():
        raise ValueError("it ends within a tensor")
    return np.frombuffer(file.read(num_bytes), dtype).reshape(sizes)
