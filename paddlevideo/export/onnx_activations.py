"""Activations of an ONNX graph in the forms that other runtimes have kernels for.

ONNX Runtime and our ONNX files have ``HardSigmoid``. TFLite has none: its converter makes three
operations of it, one of which XNNPACK leaves to slower code, with a border between the two at each
of them. It has ``HARD_SWISH``, and ``RELU6`` as part of a sum.
"""

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.export.onnx_weights import replace_items

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_ALPHA, _BETA = 1 / 6, 0.5  # hard_sigmoid(x) = relu6(x + 3) / 6
_THREE, _ZERO, _SIX, _SIXTH = (f"hard_sigmoid_{name}" for name in ("3", "0", "6", "1_6"))


def without_hard_sigmoid(graph: "GraphProto") -> None:
    """Write ``x * hard_sigmoid(x)`` as ``HardSwish``, other ones as ``relu6(x + 3) / 6``.

    Args:
        graph: changed in place; of operator set 14 or later. A ``HardSigmoid`` of another slope
            stays what it is.
    """
    from onnx import numpy_helper

    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(value.name for value in graph.output)
    readers = {name: node for node in graph.node for name in node.input}
    nodes, joined, has_constants = [], set(), False
    for node in graph.node:
        if node.output[0] in joined:
            continue
        if node.op_type != "HardSigmoid" or not _is_standard(node):
            nodes.append(node)
            continue
        (source,), (gate,) = node.input, node.output
        reader = readers.get(gate)
        if uses[gate] == 1 and reader is not None and _multiplies(reader, source, gate):
            joined.add(reader.output[0])
            nodes.append(_node("HardSwish", [source], reader.output[0]))
        else:
            nodes += _relu6(source, gate)
            has_constants = True
    replace_items(graph.node, nodes)
    if has_constants:
        for name, value in ((_THREE, 3.0), (_ZERO, 0.0), (_SIX, 6.0), (_SIXTH, _ALPHA)):
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))


def _is_standard(node: "NodeProto") -> bool:
    stated = {attribute.name: attribute.f for attribute in node.attribute}
    alpha, beta = stated.get("alpha", 0.2), stated.get("beta", 0.5)
    return math.isclose(alpha, _ALPHA, rel_tol=1e-5) and math.isclose(beta, _BETA)


def _multiplies(node: "NodeProto", source: str, gate: str) -> bool:
    return node.op_type == "Mul" and set(node.input) == {source, gate}


def _relu6(source: str, gate: str) -> list["NodeProto"]:
    shifted, cut = f"{gate}_shifted", f"{gate}_cut"
    return [
        _node("Add", [source, _THREE], shifted),
        _node("Clip", [shifted, _ZERO, _SIX], cut),
        _node("Mul", [cut, _SIXTH], gate),
    ]


def _node(kind: str, inputs: list[str], output: str) -> "NodeProto":
    from onnx import helper

    return helper.make_node(kind, inputs, [output], name=f"{kind}_{output}")
