"""An int8 ONNX graph in the forms that other runtimes take for ranges, weights and states.

Weights are float32 numbers again, each of them still on its 8 bits, so that whoever rounds them
anew finds the same integers. What is left of the ``QuantizeLinear`` and ``DequantizeLinear`` are
the roundings of activations.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.export.onnx_weights import replace_items, stored_values

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def with_float_weights(model: "ModelProto") -> None:
    """Compute what is made of constants alone, and store it as float32; ``model`` is changed."""
    from onnx import numpy_helper

    graph = model.graph
    values = dict(stored_values(model))
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and all(name in values for name in node.input):
            values[node.output[0]] = _dequantised(node, values)
    nodes = [node for node in graph.node if not all(name in values for name in node.output)]
    read = {name for node in nodes for name in node.input}
    used = {name: value for name, value in values.items() if name in read}
    made = [numpy_helper.from_array(value, name) for name, value in used.items()]
    replace_items(graph.node, nodes)
    replace_items(graph.initializer, made)


def _dequantised(node: "NodeProto", values: Mapping[str, np.ndarray]) -> np.ndarray:
    whole, scale, _ = (values[name] for name in node.input)  # of weights the zero point is 0
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    shape = [1] * whole.ndim
    if scale.ndim:
        shape[axis] = -1
    return np.asarray(whole * scale.reshape(shape if scale.ndim else ()), np.float32)


def read_rounded(model: "ModelProto") -> None:
    """Let all that reads a tensor that is rounded for some read it rounded; ``model`` is changed.

    TFLite has one form of a tensor, and one scale for what a pool takes and gives. Left to itself
    the converter takes that of the pool's result, which is narrower, and cuts off what others read.
    """
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for rounding in model.graph.node:
        if rounding.op_type == "QuantizeLinear":
            (back,) = readers[rounding.output[0]]
            for node in readers[rounding.input[0]]:
                if node is not rounding:
                    _replace(node, rounding.input[0], back.output[0])
    makers = {name: node for node in model.graph.node for name in node.output}
    for pool in model.graph.node:
        before = makers.get(pool.input[0]) if pool.op_type == "AveragePool" else None
        if before is not None and before.op_type == "DequantizeLinear":
            for rounding in readers.get(pool.output[0], []):
                if rounding.op_type == "QuantizeLinear":
                    (back,) = readers[rounding.output[0]]
                    rounding.input[1:] = back.input[1:] = before.input[1:]


def read_past_as_given(model: "ModelProto") -> None:
    """Let the past maps of a stream be read without a rounding of their own; ``model`` is changed.

    What is made with the same scale and zero point in one step lies on their steps in the next, so
    that rounding it again changes nothing and is two operations for each map.
    """
    graph = model.graph
    inputs = {value.name for value in graph.input}
    makers = {name: node for node in graph.node for name in node.output}
    made = [makers[value.name] for value in graph.output if value.name in makers]
    kept = {tuple(node.input[1:]) for node in made if node.op_type == "DequantizeLinear"}
    dropped: set[str] = set()
    given: dict[str, str] = {}
    for node in graph.node:
        rounding = makers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if rounding is None or rounding.input[0] not in inputs:
            continue
        if tuple(rounding.input[1:]) == tuple(node.input[1:]) in kept:
            dropped |= {rounding.output[0], node.output[0]}
            given[node.output[0]] = rounding.input[0]
    replace_items(graph.node, [node for node in graph.node if node.output[0] not in dropped])
    for node in graph.node:
        node.input[:] = [given.get(name, name) for name in node.input]


def _replace(node: "NodeProto", old: str, new: str) -> None:
    node.input[:] = [new if name == old else name for name in node.input]
