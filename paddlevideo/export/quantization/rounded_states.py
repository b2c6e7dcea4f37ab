"""The frames that a stream keeps, on 8 bits: which states they are, and how a file says it.

A step program takes the past maps of a queue and gives the newest. Where such a state is rounded,
the newest is made by ``QuantizeLinear`` and ``DequantizeLinear``, and each past one is read through
the same two with the same scale and zero point: the tensors are floats as before, on 256 steps, and
an engine that knows the form can keep them as bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paddlevideo.export.onnx_weights import replace_items
from paddlevideo.runtime.manifest import StepProgram

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

STATE_KIND = "state"  # what such states are called beside the kinds of layers
_MAP_AXES = 4


@dataclass(frozen=True)
class State:
    """The past frames of one map, a queue of the manifest.

    Attributes:
        name: of the queue.
        shape: of a map, (C, H, W).
        inputs: tensors with the past maps, from the oldest to the newest.
        output: the tensor with the map of this frame.
    """

    name: str
    shape: tuple[int, ...]
    inputs: tuple[str, ...]
    output: str


def find_states(graph: "GraphProto", step: StepProgram | None) -> list[State]:
    """The states of a program that can be rounded, in the order of the manifest.

    Those that are one pixel, such as the running sums of pools, have little to gain; what is
    computed from its own past would be rounded again and again.

    Args:
        step: None for a program of clips, which has no states.
    """
    makers = {name: node for node in graph.node for name in node.output}
    return [
        State(queue.name, queue.shape[1:], queue.inputs, queue.output)
        for queue in (step.queues if step is not None else ())
        if queue.dtype == "float32"
        and len(queue.shape) == _MAP_AXES
        and queue.shape[2:] != (1, 1)
        and queue.output in makers
        and not _sources(queue.output, makers) & set(queue.inputs)
    ]


def _sources(tensor: str, makers: "dict[str, NodeProto]") -> set[str]:
    """The names of all that a tensor is computed from."""
    found: set[str] = set()
    pending = [tensor]
    while pending:
        node = makers.get(pending.pop())
        new = set(node.input) - found if node is not None else set()
        found |= new
        pending += new
    return found


def past_on_8_bits(name: str) -> str:
    """The name of a state's input behind its rounding."""
    return f"{name}_rounded"


def read_past_rounded(graph: "GraphProto", states: Sequence[State]) -> None:
    """Let all that reads the past maps of ``states`` read them rounded as the newest is.

    Args:
        graph: changed in place. Its constants ``NEWEST_scale`` and ``NEWEST_zero``, with the name
            of a state's output, are what `QuantizeLinear` of the output takes.
    """
    from onnx import helper

    nodes: list[NodeProto] = []
    renamed: dict[str, str] = {}
    for state in states:
        numbers = [f"{state.output}_scale", f"{state.output}_zero"]
        for name in state.inputs:
            whole, renamed[name] = f"{name}_uint8", past_on_8_bits(name)
            nodes += [
                helper.make_node("QuantizeLinear", [name, *numbers], [whole]),
                helper.make_node("DequantizeLinear", [whole, *numbers], [renamed[name]]),
            ]
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    replace_items(graph.node, [*nodes, *graph.node])
