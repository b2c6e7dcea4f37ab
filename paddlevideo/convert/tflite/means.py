"""Means over space and over all frames so far, in the forms that converters give them."""

import math

from paddlevideo.convert.tflite.graph import Graph
from paddlevideo.convert.tflite.layers import constant_operand, operands

# Rounding of a quantised constant; another mean would be off by far more.
_TOLERANCE = 0.02
_COUNTING = ("add", "cast", "reshape", "mul")


def use_spatial_mean(graph: Graph, number: int) -> int | None:
    """The maps [..., H, W, C] whose mean [..., 1, 1, C] is ``number``; None if it is none.

    A mean is one operation or several, an average pool, or a sum and a product.
    """
    factor, steps, at = 1.0, [], number
    is_whole = False  # a product that comes before the whole mean is part of what it is of
    while (operation := graph.maker(at)) is not None:
        pair = constant_operand(graph, operation)
        if operation.kind in ("mean", "sum", "average_pool"):
            count = math.prod(graph.shape(operation.inputs[0])) / max(
                1, math.prod(graph.shape(operation.outputs[0]))
            )
            factor *= count if operation.kind == "sum" else 1.0
            before = operation.inputs[0]
            is_whole = abs(factor - 1.0) <= _TOLERANCE
        elif pair is not None and operation.kind in ("mul", "div") and not is_whole:
            constant = graph.constant(pair[1])
            if constant.size == 0 or constant.min() != constant.max() or constant.flat[0] == 0:
                break
            value = float(constant.flat[0])
            factor *= value if operation.kind == "mul" else 1.0 / value
            before = pair[0]
        else:
            break
        if operation.fused != "identity":
            break
        steps.append(at)
        at = graph.value(before)
    if not steps or abs(factor - 1.0) > _TOLERANCE or not _is_one_pixel(graph, number):
        return None
    for step in steps:
        graph.use(step)
    return at


def use_running_mean(graph: Graph, number: int) -> int | None:
    """The mean of this frame that ``number``, (state + mean) / (count + 1), goes on with.

    None if it is no mean over all frames so far.
    """
    parts = operands(graph, number, "div")
    total = None if parts is None else operands(graph, parts[0], "add")
    if parts is None or total is None or not _is_count(graph, parts[1]):
        return None
    states = [value for value in total if graph.is_input(value)]
    if len(states) != 1:
        return None
    graph.use(number)
    graph.use(parts[0])
    _use_count(graph, parts[1])
    (frame,) = (value for value in total if value not in states)
    return graph.value(frame)


def _is_one_pixel(graph: Graph, number: int) -> bool:
    shape = graph.shape(graph.value(number))
    return math.prod(shape) == shape[-1] if shape else False


def _is_count(graph: Graph, number: int) -> bool:
    """Whether a value is one number that is made of a counter handed in and constants."""
    for _ in range(len(_COUNTING) * 2):
        if graph.is_input(number):
            return math.prod(graph.shape(graph.value(number))) == 1
        operation = graph.maker(number)
        pair = None if operation is None else constant_operand(graph, operation)
        if pair is None:
            return False
        number = pair[0]
    return False


def _use_count(graph: Graph, number: int) -> None:
    while not graph.is_input(number):
        pair = constant_operand(graph, graph.use(number))
        assert pair is not None
        number = pair[0]
