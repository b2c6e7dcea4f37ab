"""The tensors and operations of a TensorFlow Lite model.

Source: TensorFlow's ``schema.fbs``, version 3, of which only the fields that are needed are listed
here by their numbers. What a file asks for is bounded: the number of tensors, operations and
references, the axes of a tensor, and the numbers that are made of its constants.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from paddlevideo.convert.tflite.flatbuffer import Table, Tables, root_of
from paddlevideo.convert.tflite.operations import Operation, operation_name, read_options
from paddlevideo.utils.damage import damage_of, read_bounded, shown
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.limits import how_to_raise, limit

WHAT = "a TensorFlow Lite model"
_MAGIC = b"TFL3"
_MAGIC_AT = 4
_MOST_AXES = 8
_LONGEST_NAME = 400
_REFERENCES_EACH = 32  # inputs and outputs of the operations, for each that there may be
# Bytes of float32 that may be made of the constants, for each byte of the file: int8 grows by 4,
# and equal constants of several layers are stored once.
_GROWTH = 64
_LEAST_DECODED_BYTES = 64e6

# Numbers of TensorType as little-endian NumPy types.
_DTYPES = {
    0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 7: "<i2", 9: "i1", 10: "<f8", 15: "<u4",
    16: "<u2",
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """What the file says of a tensor; its numbers, where it is a constant, are read on demand.

    Attributes:
        kind: a number of TensorType.
        scale, zero_point: of a quantised tensor, for the whole of it or along ``axis``.
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    buffer: int
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int
    is_sparse: bool

    @classmethod
    def parse(cls, table: Table) -> "Tensor":
        """Read one; `ValueError` for a shape that no array has."""
        shape = table.vector(0, "<i4")
        if len(shape) > _MOST_AXES or (shape < 0).any():
            raise ValueError(f"a tensor has the shape {shape[:_MOST_AXES].tolist()}")
        quantization = table.table(4)
        none: np.ndarray = np.empty(0, "<f4")
        return cls(
            name=table.text(3, _LONGEST_NAME),
            shape=tuple(shape.tolist()),
            kind=table.scalar(1, "b"),
            buffer=table.scalar(2, "I"),
            scale=none if quantization is None else quantization.vector(2, "<f4"),
            zero_point=none if quantization is None else quantization.vector(3, "<i8"),
            axis=0 if quantization is None else quantization.scalar(6, "i"),
            is_sparse=table.table(6) is not None,
        )


@dataclass
class Model:
    """One network of a file.

    Attributes:
        inputs, outputs: numbers of tensors.
    """

    data: bytes
    tensors: list[Tensor]
    operations: list[Operation]
    inputs: list[int]
    outputs: list[int]
    buffers: Tables
    _decoded_bytes: float = field(default=0.0, init=False)

    def is_constant(self, number: int) -> bool:
        """Whether the file holds the tensor's numbers."""
        return self._raw(self.tensors[number]).size > 0

    def values(self, number: int) -> np.ndarray:
        """The numbers of a constant as float32; quantised ones are multiplied out.

        Raises:
            ValueError: they are not as many as its shape needs, or of a kind that is not read.
        """
        tensor = self.tensors[number]
        name = shown(tensor.name)
        if tensor.is_sparse:
            raise ValueError(f"{name} is stored sparsely, which is not read")
        if tensor.kind not in _DTYPES:
            raise ValueError(f"{name} is of the tensor type {tensor.kind}, which is not read")
        dtype: np.dtype = np.dtype(_DTYPES[tensor.kind])
        raw = self._raw(tensor)
        count = math.prod(tensor.shape)
        if count * dtype.itemsize != raw.size:
            raise ValueError(f"{name} is {list(tensor.shape)}, but has {raw.size} bytes")
        self._spend(4.0 * count)
        values = np.frombuffer(raw, dtype).reshape(tensor.shape)
        return _multiplied_out(tensor, values) if tensor.scale.size else values.astype("<f4")

    def _raw(self, tensor: Tensor) -> np.ndarray:
        """The bytes of a tensor's buffer: inside its table, or behind all tables."""
        if tensor.buffer >= len(self.buffers):
            raise ValueError(f"{shown(tensor.name)} lies in a buffer that the file has not")
        buffer = self.buffers[tensor.buffer]
        start, size = buffer.scalar(1, "Q"), buffer.scalar(2, "Q")
        if start <= 1:  # 0 and 1 stand for none
            return buffer.vector(0, "u1")
        if start + size > len(self.data):
            raise ValueError(f"the numbers of {shown(tensor.name)} are not in the file")
        return np.frombuffer(self.data, "u1", size, start)

    def _spend(self, num_bytes: float) -> None:
        self._decoded_bytes += num_bytes
        if self._decoded_bytes > max(_LEAST_DECODED_BYTES, _GROWTH * len(self.data)):
            raise ValueError("its constants are used so often that they do not fit a network")


def read_model(path: str | Path) -> Model:
    """Read the largest network of a ``.tflite`` file.

    Raises:
        WeightsError: missing, too large, damaged, or of another format.
    """
    data = read_bounded(path, int(limit("tflite_bytes")))
    if data[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] != _MAGIC:
        raise WeightsError(f"{path}: damaged or not {WHAT}: its first bytes are not those of one")
    with damage_of(path, WHAT):
        root = root_of(data)
        graphs = root.tables(2)
        if not 1 <= len(graphs) <= limit("tensors"):
            raise ValueError(f"it has {len(graphs)} networks")
        graph = max(graphs, key=lambda graph: len(graph.tables(3)))
        tensors = [Tensor.parse(table) for table in _bounded(graph.tables(0), "tensors")]
        operations = _operations(graph.tables(3), root.tables(1), len(tensors))
        inputs, outputs = (
            _numbers(graph.vector(field, "<i4"), len(tensors), least=0) for field in (1, 2)
        )
        return Model(data, tensors, operations, inputs, outputs, root.tables(4))


def _operations(tables: Tables, codes: Tables, num_tensors: int) -> list[Operation]:
    names = [operation_name(code) for code in _bounded(codes, "kinds of operations")]
    most = _REFERENCES_EACH * limit("tensors")
    operations = []
    for table in _bounded(tables, "operations"):
        code = table.scalar(0, "I")
        if code >= len(names):
            raise ValueError("an operation is of a kind that the file has not")
        inputs, outputs = (table.vector(field, "<i4") for field in (1, 2))
        most -= len(inputs) + len(outputs)
        if most < 0:
            raise ValueError("its operations have too many inputs and outputs")
        operations.append(
            Operation(
                names[code],
                _numbers(inputs, num_tensors, least=-1),  # -1 stands for an input left out
                _numbers(outputs, num_tensors, least=0),
                read_options(names[code], table),
            )
        )
    return operations


def _bounded(tables: Tables, what: str) -> Tables:
    if len(tables) > limit("tensors"):
        raise ValueError(f"it has {len(tables)} {what}; {how_to_raise('tensors')}")
    return tables


def _numbers(vector: np.ndarray, num_tensors: int, least: int) -> list[int]:
    """Numbers of tensors."""
    if len(vector) > _REFERENCES_EACH * limit("tensors"):
        raise ValueError("its operations have too many inputs and outputs")
    numbers: Sequence[int] = vector.tolist()
    if any(not least <= number < num_tensors for number in numbers):
        raise ValueError("an operation reads or writes a tensor that the file has not")
    return list(numbers)


def _multiplied_out(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    """``scale * (q - zero_point)``, exact for the 8-bit numbers of weights."""
    scale, zero = tensor.scale, tensor.zero_point
    if values.dtype.kind not in "iu" or zero.size not in (0, 1, scale.size):
        raise ValueError(f"{shown(tensor.name)} has a scale that does not suit it")
    shape = [1] * values.ndim
    if scale.size > 1:
        if not 0 <= tensor.axis < values.ndim or values.shape[tensor.axis] != scale.size:
            raise ValueError(f"{shown(tensor.name)} has {scale.size} scales, not one a channel")
        shape[tensor.axis] = scale.size
    zeros = (
        zero.reshape(shape if zero.size == scale.size else [1] * values.ndim) if zero.size else 0
    )
    wide = np.float64 if values.dtype.itemsize > 2 else np.float32
    shifted = values.astype(wide) - np.asarray(zeros, wide)
    return (shifted * scale.reshape(shape).astype(wide)).astype(np.float32)
