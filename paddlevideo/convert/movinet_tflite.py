"""A streaming MoViNet found in a TensorFlow Lite network, by what its operations do.

The search goes from the logits back to the picture. Names of tensors are not looked at: they are
those of the converter, which merges constants of equal value and renames results. What counts is
the order and kind of operations, their shapes, and who reads whose result.
"""

import numpy as np

from paddlevideo.convert.folded_network import Block, Gate, Network, network_of
from paddlevideo.convert.tflite.graph import Graph
from paddlevideo.convert.tflite.layers import (
    DENSE,
    DEPTHWISE,
    Layer,
    constant_operand,
    layer_at,
    operands,
    use_layer,
)
from paddlevideo.convert.tflite.means import use_running_mean, use_spatial_mean

_SIXTH = 1.0 / 6.0
_GATE_TOLERANCE = 2e-3  # of the factor of a hard sigmoid, which int8 rounds
_PIXEL = 1.0 / 255.0
_SHOWN = 5


def find_network(graph: Graph) -> Network[Layer]:
    """Recognise the network; every operation that leads to the logits is one of it.

    Raises:
        ValueError: it is no MoViNet stream; the text says where the search ended.
    """
    classifier = _classifier(graph)
    dense = _pointwise(graph, classifier.input, "the classifier's input")
    project = _pointwise(graph, _head_input(graph, dense), "what the head takes the mean of")
    blocks: list[Block[Layer]] = []
    value = project.input
    while (block := _block(graph, value)) is not None:
        blocks.insert(0, block)
        value = block.input
    stem = _stem(graph, value)
    rest = graph.left_over((*DENSE, *DEPTHWISE))
    if rest:
        some = ", ".join(f"{op.kind} ({graph.name(op.outputs[0])})" for op in rest[:_SHOWN])
        raise ValueError(f"{len(rest)} operations are no part of a MoViNet stream: {some}")
    frames = [1 if block.temporal is None else block.temporal.kernel_size[0] for block in blocks]
    return network_of(stem, blocks, (project, dense, classifier), frames)


def _classifier(graph: Graph) -> Layer:
    """The one output that is a product, possibly with a softmax behind it."""
    found: dict[int, Layer] = {}
    for output in graph.model.outputs:
        maker = graph.maker(output)
        number = output
        if maker is not None and maker.kind == "softmax" and maker.inputs:
            number = maker.inputs[0]
        layer = layer_at(graph, number)
        if layer is not None and _is_pointwise(layer) and layer.activation == "identity":
            found[graph.value(number)] = layer
            if number != output:
                graph.use(output)
    if len(found) != 1:
        raise ValueError(f"{len(found)} of its outputs are the logits of a classifier, expected 1")
    (layer,) = found.values()
    layer.use()
    return layer


def _head_input(graph: Graph, dense: Layer) -> int:
    frame = use_running_mean(graph, dense.input)
    maps = None if frame is None else use_spatial_mean(graph, frame)
    if maps is None:
        raise ValueError("the head takes no mean over all frames so far, with states")
    return maps


def _block(graph: Graph, number: int) -> Block[Layer] | None:
    """The bottleneck whose result is ``number``; None where that is no sum of two values."""
    pair = operands(graph, number, "add")
    if pair is None:
        return None
    for branch, other in (pair, pair[::-1]):
        project = layer_at(graph, branch)
        if project is None or not _is_pointwise(project) or project.activation != "identity":
            continue
        last = _gated(graph, project.input)
        if last is None:
            continue
        graph.use(number)
        project.use()
        gate, feature = last
        spatial, temporal = _feature(graph, feature)
        expand = _pointwise(graph, spatial.input, f"what {graph.name(feature)} is made of")
        shortcut = _shortcut(graph, other, expand.input)
        return Block(expand, spatial, temporal, gate, project, shortcut, expand.input)
    raise ValueError(f"{graph.name(number)} is no sum of a bottleneck and its shortcut")


def _gated(graph: Graph, number: int) -> tuple[Gate[Layer] | None, int] | None:
    """The gate of a value, and the result of a depthwise convolution; None if it is none."""
    if _is_depthwise(layer_at(graph, number)):
        return None, number
    pair = operands(graph, number, "mul")
    for value, gate in (pair, pair[::-1]) if pair is not None else ():
        if _is_depthwise(layer_at(graph, value)):
            found = _gate(graph, gate, value)
            if found is not None:
                graph.use(number)
                return found, value
    return None


def _gate(graph: Graph, number: int, gated: int) -> Gate[Layer] | None:
    """The gate ``number`` of the maps ``gated``: mean, dense, activation, dense, sigmoid."""
    activation, offset, inner = "sigmoid", 0.0, number
    maker = graph.maker(number)
    pair = None if maker is None else constant_operand(graph, maker)
    if maker is not None and pair is not None and maker.kind in ("mul", "div"):
        factor = graph.constant(pair[1]).reshape(-1)
        value = float(factor[0]) if factor.size and factor.min() == factor.max() else 0.0
        value = 1.0 / value if maker.kind == "div" and value else value
        if abs(value - _SIXTH) > _GATE_TOLERANCE:
            return None
        activation, offset, inner = "hard_sigmoid", 3.0, pair[0]
    expand = layer_at(graph, inner)
    expected = "relu6" if offset else "sigmoid"
    if expand is None or not _is_pointwise(expand) or expand.activation != expected:
        return None
    reduce = layer_at(graph, expand.input)
    if reduce is None or not _is_pointwise(reduce):
        return None
    kind = _use_pooled(graph, reduce.input, gated)
    graph.use(number)
    use_layer(graph, inner)
    use_layer(graph, expand.input)
    return Gate(reduce, expand, kind, activation, offset)


def _use_pooled(graph: Graph, number: int, gated: int) -> str:
    """What a gate sees of the maps ``gated``."""
    maker = graph.maker(number)
    over_time, frame = None, number
    kind = "2d"
    if maker is not None and maker.kind == "concatenation" and len(maker.inputs) == 2:
        graph.use(number)
        over_time, frame = maker.inputs
        kind = "2plus3d"
        if use_running_mean(graph, over_time) != graph.value(frame):
            raise ValueError(f"{graph.name(number)}: a gate sees no mean over time, then space")
    else:
        running = use_running_mean(graph, number)
        if running is not None:
            kind, frame = "3d", running
    if use_spatial_mean(graph, frame) != graph.value(gated):
        raise ValueError(f"{graph.name(number)}: a gate sees no mean of what it gates")
    return kind


def _feature(graph: Graph, number: int) -> tuple[Layer, Layer | None]:
    """The depthwise layers whose result is ``number``: spatial, or spatial and then temporal."""
    last = use_layer(graph, number)
    assert last is not None
    if last.kernel_size[1] > 1:
        return last, None
    maker = graph.maker(last.input)
    inputs = [] if maker is None or maker.kind != "concatenation" else maker.inputs
    if len(inputs) != 2 or not graph.is_input(inputs[0]):
        raise ValueError(f"{graph.name(number)} is a temporal layer without frames of the past")
    graph.use(last.input)
    spatial = use_layer(graph, inputs[1])
    if not _is_depthwise(spatial) or spatial is None:
        raise ValueError(f"{graph.name(number)} is a temporal layer without a spatial one before")
    return spatial, last


def _shortcut(graph: Graph, number: int, block_input: int) -> Layer | None:
    """The projection on the way round a bottleneck; None where its input is just added."""
    if graph.value(number) == block_input:
        return None
    layer = _pointwise(graph, number, "a shortcut")
    source = layer.input
    maker = graph.maker(source)
    if maker is not None and maker.kind == "average_pool":
        names = ("filter_h", "filter_w", "stride_h", "stride_w", "valid")
        window = tuple(maker.options.get(name) for name in names)
        if window != (3, 3, 2, 2, 0) or maker.fused != "identity":
            raise ValueError(f"{graph.name(source)} is no mean over 3x3 pixels with stride 2")
        graph.use(source)
        source = graph.value(maker.inputs[0])
    if source != block_input or layer.activation != "identity":
        raise ValueError(f"{graph.name(number)} is no shortcut of its bottleneck")
    return layer


def _stem(graph: Graph, number: int) -> Layer:
    layer = use_layer(graph, number)
    is_stem = layer is not None and not layer.is_depthwise and layer.kernel_size == (3, 3)
    if layer is None or not is_stem or layer.channels[0] != 3 or layer.stride != (2, 2):
        raise ValueError(f"{graph.name(number)} is neither a bottleneck's result nor the stem's")
    picture = layer.input
    maker = graph.maker(picture)
    pair = None if maker is None else constant_operand(graph, maker)
    if maker is not None and pair is not None and maker.kind in ("mul", "div"):
        factor = float(np.median(graph.constant(pair[1])))
        factor = 1.0 / factor if maker.kind == "div" and factor else factor
        if abs(factor / _PIXEL - 1.0) > 0.02:
            raise ValueError(f"it multiplies pixels by {factor:.6g}; expected 1/255 or nothing")
        graph.use(picture)
        picture = graph.value(pair[0])
    if not graph.is_input(picture):
        raise ValueError(f"{graph.name(picture)}, which the stem reads, is no input of the network")
    return layer


def _pointwise(graph: Graph, number: int, what: str) -> Layer:
    layer = use_layer(graph, number)
    if layer is None or not _is_pointwise(layer):
        raise ValueError(f"{graph.name(number)}, {what}, is no 1x1 convolution or dense layer")
    return layer


def _is_pointwise(layer: Layer) -> bool:
    return not layer.is_depthwise and layer.kernel_size == (1, 1) and layer.stride == (1, 1)


def _is_depthwise(layer: Layer | None) -> bool:
    return layer is not None and layer.is_depthwise
