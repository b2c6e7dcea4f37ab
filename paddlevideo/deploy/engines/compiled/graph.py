"""Read an ONNX file as nodes and constants."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddlevideo.utils.errors import BundleError

Constants = dict[str, np.ndarray]


class UnsupportedProgramError(BundleError):
    """The program has an operation that the compiled engine does not know."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the compiled engine cannot run {what}; use --engine onnxruntime or --engine paddle"
        )


@dataclass(frozen=True)
class Node:
    """One operation of the file, with one output."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class TensorInfo:
    """A tensor of one stream: its shape without the batch axis, and its dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True)
class Graph:
    """What the file computes.

    Attributes:
        nodes: in an order in which they can be computed; constants are folded away.
        constants: float or integer arrays by name.
        inputs: in the file's order.
        outputs: names, in the file's order.
    """

    nodes: tuple[Node, ...]
    constants: Constants
    inputs: dict[str, TensorInfo]
    outputs: tuple[str, ...]


def read_graph(path: Path) -> Graph:
    """Read the file.

    Raises:
        BundleError: it is no ONNX file, or one whose sizes are not fixed.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path))
    except (DecodeError, OSError) as error:
        raise BundleError(f"{path} cannot be read as ONNX: {error}") from None
    graph = model.graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    nodes = []
    for proto in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
        if proto.op_type == "Constant" and "value" in attributes:
            constants[proto.output[0]] = onnx.numpy_helper.to_array(attributes["value"])
            continue
        if len(proto.output) != 1:
            raise UnsupportedProgramError(f"{proto.op_type} with {len(proto.output)} outputs")
        node = Node(proto.op_type, tuple(proto.input), proto.output[0], attributes)
        value = _folded(node, constants, onnx)
        if value is None:
            nodes.append(node)
        else:
            constants[node.output] = value
    inputs = {
        item.name: _info_of(item, path, onnx) for item in graph.input if item.name not in constants
    }
    return Graph(tuple(nodes), constants, inputs, tuple(item.name for item in graph.output))


def _folded(node: Node, constants: Constants, onnx: Any) -> np.ndarray | None:
    """The value of a node all of whose inputs are constants, where it is one of few kinds."""
    fold: Callable[..., np.ndarray] | None = _FOLDS.get(node.kind)
    if fold is None or not all(name in constants for name in node.inputs if name):
        return None
    return fold(node, [constants[name] for name in node.inputs if name], onnx)


def _cast(node: Node, values: list[np.ndarray], onnx: Any) -> np.ndarray:
    return values[0].astype(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"]))


def _dequantize(node: Node, values: list[np.ndarray], onnx: Any) -> np.ndarray:
    weights: np.ndarray = values[0].astype(np.float32)
    scale: np.ndarray = values[1].astype(np.float32)
    zero = values[2].astype(np.float32) if len(values) > 2 else np.zeros_like(scale)
    if scale.ndim == 1 and scale.size > 1:
        shape = [1] * weights.ndim
        shape[node.attributes.get("axis", 1)] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return (weights - zero) * scale


def _product(node: Node, values: list[np.ndarray], onnx: Any) -> np.ndarray:
    """Of weights that are stored as int8, with their scales (deploy/onnx_weights.py)."""
    return values[0] * values[1]


def _same(node: Node, values: list[np.ndarray], onnx: Any) -> np.ndarray:
    return values[0]


_FOLDS: dict[str, Callable[..., np.ndarray]] = {
    "Cast": _cast,
    "DequantizeLinear": _dequantize,
    "Identity": _same,
    "Mul": _product,
}


def _info_of(item: Any, path: Path, onnx: Any) -> TensorInfo:
    kind = item.type.tensor_type
    sizes = tuple(dim.dim_value for dim in kind.shape.dim)
    if not sizes or any(size < 1 for size in sizes[1:]):
        raise UnsupportedProgramError(f"input {item.name} of {path}, whose sizes are not fixed")
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return TensorInfo(sizes[1:], dtype)
