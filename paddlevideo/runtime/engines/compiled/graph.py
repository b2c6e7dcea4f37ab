"""Read an ONNX file as nodes and constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.onnx_file import (
    DamagedProgramError,
    read_model,
    refusing_damage,
    shown,
)
from paddlevideo.utils.eight_bits import Range
from paddlevideo.utils.limits import how_to_raise, limit

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

Constants = dict[str, np.ndarray]


@dataclass(frozen=True)
class Node:
    """One operation of the file, with one output."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of one stream: its shape without the batch axis, and its dtype.

    Attributes:
        range: of a state that is kept on 8 bits (`byte_states`); its dtype is what callers see.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    range: Range | None = None


@dataclass(frozen=True)
class StoredWeights:
    """A constant as the file stores it: ``numbers`` times a scale for each output channel.

    Attributes:
        numbers: int8, int32 or float16, [C, ...].
        scale_C: float32.
    """

    numbers: np.ndarray
    scale_C: np.ndarray


@dataclass(frozen=True)
class Graph:
    """What the file computes.

    Attributes:
        nodes: in an order in which they can be computed; constants are folded away.
        constants: float or integer arrays by name.
        inputs: in the file's order.
        outputs: names, in the file's order.
        declared: sizes with the batch axis (0: not said) and dtype of what the file declares.
        stored: of constants that are folded from fewer bytes than float32 takes, what they are.
    """

    nodes: tuple[Node, ...]
    constants: Constants
    inputs: dict[str, TensorInfo]
    outputs: tuple[str, ...]
    declared: dict[str, tuple[tuple[int, ...], np.dtype]]
    stored: dict[str, StoredWeights] = field(default_factory=dict)


def read_graph(path: Path) -> Graph:
    """Read the file.

    Raises:
        BundleError: it is no ONNX file, or one whose sizes are not fixed.
    """
    model = read_model(path)
    with refusing_damage(path):
        return _graph_of(model, path)


def _graph_of(model: ModelProto, path: Path) -> Graph:
    import onnx

    graph = model.graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    nodes = []
    stored: dict[str, StoredWeights] = {}
    for proto in graph.node:
        if proto.domain not in ("", "ai.onnx"):
            raise UnsupportedProgramError(f"the domain {shown(proto.domain)}")
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
        if proto.op_type == "Constant" and "value" in attributes:
            constants[proto.output[0]] = onnx.numpy_helper.to_array(attributes["value"])
            continue
        if len(proto.output) != 1 or not proto.output[0]:
            raise UnsupportedProgramError(
                f"{shown(proto.op_type)} with {len(proto.output)} outputs"
            )
        node = Node(proto.op_type, tuple(proto.input), proto.output[0], attributes)
        value = _folded(node, constants, onnx)
        if value is None:
            nodes.append(node)
        else:
            constants[node.output] = value
            found = _stored(node, constants, stored)
            if found is not None:
                stored[node.output] = found
    inputs = {
        item.name: _info_of(item, path, onnx) for item in graph.input if item.name not in constants
    }
    declared = {
        item.name: _declared(item, onnx)
        for item in (*graph.value_info, *graph.output)
        if item.type.tensor_type.HasField("shape")
    }
    outputs = tuple(item.name for item in graph.output)
    return Graph(tuple(nodes), constants, inputs, outputs, declared, stored)


def _declared(item: ValueInfoProto, onnx: ModuleType) -> tuple[tuple[int, ...], np.dtype]:
    kind = item.type.tensor_type
    sizes = tuple(dim.dim_value for dim in kind.shape.dim)
    return sizes, _dtype_of(kind.elem_type, item.name, onnx)


def _dtype_of(kind: int, name: str, onnx: ModuleType) -> np.dtype:
    """onnx itself calls all the small floats float32."""
    kinds = onnx.TensorProto
    known = {kinds.FLOAT: np.float32, kinds.UINT8: np.uint8, kinds.INT32: np.int32}
    if kind not in known:
        called = kinds.DataType.Name(kind) if kind in kinds.DataType.values() else kind
        raise UnsupportedProgramError(f"{shown(name)} of dtype {called}")
    return np.dtype(known[kind])


def _folded(node: Node, constants: Constants, onnx: ModuleType) -> np.ndarray | None:
    """The value of a node all of whose inputs are constants, where it is one of few kinds."""
    fold: Callable[..., np.ndarray] | None = _FOLDS.get(node.kind)
    if fold is None or not all(name in constants for name in node.inputs if name):
        return None
    return fold(node, [constants[name] for name in node.inputs if name], onnx)


def _cast(node: Node, values: list[np.ndarray], onnx: ModuleType) -> np.ndarray:
    kinds = onnx.TensorProto
    if node.attributes["to"] not in (kinds.FLOAT, kinds.INT32, kinds.INT64):
        raise UnsupportedProgramError("a cast of a constant but to float32 or integers")
    return values[0].astype(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"]))


def _dequantize(node: Node, values: list[np.ndarray], onnx: ModuleType) -> np.ndarray:
    axis = node.attributes.get("axis", 1)
    many = values[1].ndim == 1 and values[1].size > 1
    if not set(node.attributes) <= {"axis"} or (
        values[1].size != 1
        and not (many and values[0].ndim > axis >= 0 and values[0].shape[axis] == values[1].size)
    ):
        raise UnsupportedProgramError("DequantizeLinear with scales of another shape")
    if any(value.shape != values[1].shape for value in values[2:]):
        raise DamagedProgramError("DequantizeLinear: scales and zero points do not match")
    weights: np.ndarray = values[0].astype(np.float32)
    scale: np.ndarray = values[1].astype(np.float32)
    zero = values[2].astype(np.float32) if len(values) > 2 else np.zeros_like(scale)
    if scale.ndim == 1 and scale.size > 1:
        shape = [1] * weights.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return (weights - zero) * scale


def _product(node: Node, values: list[np.ndarray], onnx: ModuleType) -> np.ndarray:
    """Of weights that are stored as int8, with their scales (deploy/onnx_weights.py)."""
    if values[0].dtype != values[1].dtype:
        raise DamagedProgramError("Mul of constants of two dtypes")
    sizes = np.broadcast_shapes(values[0].shape, values[1].shape)
    if 4.0 * math.prod(sizes) > limit("map_bytes"):
        raise DamagedProgramError(f"a product of constants; {how_to_raise('map_bytes')}")
    return np.asarray(values[0] * values[1])


def _stored(
    node: Node, constants: Constants, stored: dict[str, StoredWeights]
) -> StoredWeights | None:
    """What a folded node makes floats of, if it is one of the forms in which weights are stored."""
    values = [constants[name] for name in node.inputs if name]
    numbers = values[0]
    if numbers.ndim < 1 or numbers.size == 0:
        return None
    channels = len(numbers)
    if node.kind == "DequantizeLinear":
        scale: np.ndarray = values[1].astype(np.float32).reshape(-1)
        by_channel = scale.size == 1 or node.attributes.get("axis", 1) == 0
        centred = len(values) < 3 or not values[2].any()
        if numbers.dtype in (np.int8, np.int32) and by_channel and centred:
            return StoredWeights(numbers, np.broadcast_to(scale, channels))
    elif node.kind == "Cast" and numbers.dtype in (np.int8, np.float16):
        if constants[node.output].dtype == np.float32:
            return StoredWeights(numbers, np.ones(channels, np.float32))
    elif node.kind == "Mul" and node.inputs[0] in stored:
        # Of `export/onnx_weights.py`: a cast, then a product with [C, 1, ...].
        cast, scale = stored[node.inputs[0]], values[1]
        by_channel = scale.shape == (channels, *(1,) * (numbers.ndim - 1))
        if by_channel and scale.dtype == np.float32 and (cast.scale_C == 1).all():
            return StoredWeights(cast.numbers, scale.reshape(-1))
    return None


def _same(node: Node, values: list[np.ndarray], onnx: ModuleType) -> np.ndarray:
    return values[0]


_FOLDS: dict[str, Callable[..., np.ndarray]] = {
    "Cast": _cast,
    "DequantizeLinear": _dequantize,
    "Identity": _same,
    "Mul": _product,
}


def _info_of(item: ValueInfoProto, path: Path, onnx: ModuleType) -> TensorInfo:
    kind = item.type.tensor_type
    sizes = tuple(dim.dim_value for dim in kind.shape.dim)
    if not sizes or any(size < 1 for size in sizes[1:]):
        raise UnsupportedProgramError(
            f"input {shown(item.name)} of {path}, whose sizes are not fixed"
        )
    return TensorInfo(sizes[1:], _dtype_of(kind.elem_type, item.name, onnx))
