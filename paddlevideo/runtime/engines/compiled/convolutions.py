"""Lower one convolution: a product of pixels, one of a frame's windows, or one by channel."""

from dataclasses import replace

import numpy as np

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.graph import Graph, Node
from paddlevideo.runtime.engines.compiled.operations import IntegerWeights, Operation, Shape

Pads = tuple[int, int, int, int]


def convolution(
    node: Node, graph: Graph, source: str, shape_CHW: Shape, offset_C: np.ndarray | None
) -> Operation:
    """The operation of a node ``Conv`` that `validate` has proven.

    Args:
        source: the map that it reads, and its shape.
        offset_C: what is added to a frame first.

    Raises:
        UnsupportedProgramError: no kernel is for its groups.
    """
    weight = graph.constants[node.inputs[1]]
    out_channels, per_group, kernel, _ = weight.shape
    bias = np.zeros(out_channels, np.float32)
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = graph.constants[node.inputs[2]].reshape(-1).astype(np.float32)
    weight = weight.astype(np.float32)
    stride, pads = stride_and_pads(node)
    channels, rows, columns = shape_CHW
    shape = (out_channels, *places_of(rows, columns, kernel, stride, pads))
    options = {"kernel": kernel, "stride": stride, "pads": pads}
    groups = node.attributes.get("group", 1)
    plain = offset_C is None
    is_depthwise = groups == channels == out_channels and per_group == 1 and plain
    stored = _integers(node, graph)
    if groups == 1 and kernel == 1 and stride == 1 and not any(pads) and plain:
        return _dense(node, graph, source, shape, weight, bias, stored)
    if groups == 1 and source in graph.inputs and not is_depthwise:
        options["offset"] = np.zeros(channels, np.float32) if offset_C is None else offset_C
        return Operation("convolution", (source,), node.output, shape, weight, bias,
                         options=options, integers=stored)  # fmt: skip
    if not is_depthwise:
        raise UnsupportedProgramError(f"a convolution of {groups} groups, kernel {kernel}")
    if stored is not None:
        stored = replace(stored, weights=_by_place(stored.weights))
    kind = "weighted_sum" if kernel == 1 and stride == 1 else "depthwise"
    return Operation(kind, (source,), node.output, shape, _by_place(weight), bias,
                     options=options, integers=stored)  # fmt: skip


def _dense(
    node: Node, graph: Graph, source: str, shape: Shape, weight: np.ndarray, bias: np.ndarray,
    stored: IntegerWeights | None,
) -> Operation:  # fmt: skip
    """A product of each pixel: its weights as [depth, channels]."""
    if stored is not None:
        stored = replace(stored, weights=stored.weights[:, :, 0, 0].T)
    kept = graph.stored.get(node.inputs[1])
    if kept is not None and kept.numbers.dtype in (np.int8, np.float16):
        kept = replace(kept, numbers=kept.numbers[:, :, 0, 0].T)
    return Operation("dense", (source,), node.output, shape, weight[:, :, 0, 0].T, bias,
                     integers=stored, stored=kept)  # fmt: skip


def _integers(node: Node, graph: Graph) -> IntegerWeights | None:
    """The weights of a convolution on 8 bits, where the file has them so."""
    weight = graph.stored.get(node.inputs[1])
    if weight is None or weight.numbers.dtype != np.int8:
        return None
    if len(node.inputs) < 3 or not node.inputs[2]:
        return IntegerWeights(weight.numbers, weight.scale_C, None, None)
    bias = graph.stored.get(node.inputs[2])
    if bias is None or bias.numbers.dtype != np.int32:
        return None
    return IntegerWeights(weight.numbers, weight.scale_C, bias.numbers, bias.scale_C)


def _by_place(weights: np.ndarray) -> np.ndarray:
    """Depthwise weights [channels, 1, kernel, kernel] as [kernel * kernel, channels]."""
    return weights[:, 0].transpose(1, 2, 0).reshape(-1, len(weights))


def stride_and_pads(node: Node) -> tuple[int, Pads]:
    """How a window moves over a map."""
    pads = node.attributes.get("pads", [0, 0, 0, 0])
    return node.attributes.get("strides", [1])[0], (pads[0], pads[1], pads[2], pads[3])


def places_of(rows: int, columns: int, kernel: int, stride: int, pads: Pads) -> tuple[int, int]:
    """Rows and columns of what a window gives that moves over a map."""
    high, wide = rows + pads[0] + pads[2] - kernel, columns + pads[1] + pads[3] - kernel
    return high // stride + 1, wide // stride + 1
