"""States that a file rounds to 8 bits are kept as bytes between two steps.

The file has them as float32. It rounds each input before anything reads it, and the output that
becomes such an input is what a rounding gives; so the bytes say all that there is, in a quarter of
the memory (docs/quantization.md).
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.graph import Constants, Graph, Node
from paddlevideo.utils.eight_bits import Range

# Of the widest vector: a map of fewer channels is written beyond its end.
_LEAST_CHANNELS = 16
_LEAST_SCALE, _LARGEST_SCALE = 1e-30, 1e30  # whose reciprocals are ordinary floats
_MAP_AXES = 3
_UINT8: np.dtype = np.dtype(np.uint8)
_ROUNDING = "QuantizeLinear"
_VALUES = "DequantizeLinear"

_Kept = tuple[tuple[int, ...], Range]
"""Shape of one stream's map, and what its bytes stand for."""


def range_at(node: Node, constants: Constants) -> Range:
    """The range of a ``QuantizeLinear`` or ``DequantizeLinear`` of a map.

    Raises:
        UnsupportedProgramError: it is none to uint8 with one scale.
    """
    found = [constants.get(name) for name in node.inputs[1:]]
    if len(found) != 2 or found[0] is None or found[1] is None:
        raise UnsupportedProgramError(f"{node.kind} with a scale or zero point that is no constant")
    scale, zero = found[0], found[1]
    if scale.ndim or zero.ndim or scale.dtype != np.float32 or zero.dtype != np.uint8:
        raise UnsupportedProgramError(f"{node.kind} but to uint8 with one scale")
    if not _LEAST_SCALE < float(scale) < _LARGEST_SCALE:
        raise UnsupportedProgramError(f"{node.kind} with a scale of {float(scale)}")
    return Range(float(scale), int(zero))


def states_as_bytes(graph: Graph) -> Graph:
    """The graph with states as bytes: inputs have a range, outputs are what is rounded.

    A pair is needed for it, an input that is read by roundings to one range alone and an output
    of the same shape that was rounded to that range; others stay as they are.
    """
    inputs = _rounded_inputs(graph)
    outputs = _rounded_outputs(graph)
    pairs = set(inputs.values()) & {kept for _, kept in outputs.values()}
    inputs = {name: kept for name, kept in inputs.items() if kept in pairs}
    outputs = {name: found for name, found in outputs.items() if found[1] in pairs}
    if not inputs:
        return graph
    unread = outputs.keys() - {name for node in graph.nodes for name in node.inputs}
    bytes_of = {
        node.output: node.inputs[0]
        for node in graph.nodes
        if node.kind == _ROUNDING and node.inputs and node.inputs[0] in inputs
    }
    return replace(
        graph,
        nodes=tuple(
            replace(node, inputs=tuple(bytes_of.get(name, name) for name in node.inputs))
            for node in graph.nodes
            if node.output not in bytes_of and node.output not in unread
        ),
        # What was found of outputs rests on what the file declares of them: it is to be proven.
        declared={
            **graph.declared,
            **{whole: (graph.declared[n][0], _UINT8) for n, (whole, _) in outputs.items()},
        },
        inputs={
            name: replace(info, range=inputs[name][1]) if name in inputs else info
            for name, info in graph.inputs.items()
        },
        outputs=tuple(outputs[name][0] if name in outputs else name for name in graph.outputs),
    )


def _is_kept(shape: tuple[int, ...]) -> bool:
    """Whether a state is a map that is worth it: of several pixels, with enough channels."""
    return len(shape) == _MAP_AXES and shape[0] >= _LEAST_CHANNELS and math.prod(shape[1:]) > 1


def _rounded_inputs(graph: Graph) -> dict[str, _Kept]:
    """Inputs that nothing reads but roundings to one range."""
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    found = {}
    for name, info in graph.inputs.items():
        if info.dtype != np.float32 or not _is_kept(info.shape) or name in graph.outputs:
            continue
        ranges = {_range_of(node, graph.constants, name) for node in readers.get(name, [])}
        range_ = ranges.pop() if len(ranges) == 1 else None
        if range_ is not None:
            found[name] = (info.shape, range_)
    return found


def _range_of(node: Node, constants: Constants, name: str) -> Range | None:
    """The range that a node rounds ``name`` to; None if it does anything else with it."""
    plain = node.kind == _ROUNDING and node.inputs[0] == name and not node.attributes
    return range_at(node, constants) if plain else None


def _rounded_outputs(graph: Graph) -> Mapping[str, tuple[str, _Kept]]:
    """Outputs that are the values of a map on 8 bits, and the name of that map."""
    makers = {node.output: node for node in graph.nodes}
    found: dict[str, tuple[str, _Kept]] = {}
    for name in graph.outputs:
        values = makers.get(name)
        shape = graph.declared.get(name, ((), None))[0][1:]
        if values is None or values.kind != _VALUES or not values.inputs or not _is_kept(shape):
            continue
        whole = values.inputs[0]
        rounding = makers.get(whole)
        if rounding is None or not rounding.inputs or rounding.inputs[0] in graph.inputs:
            continue
        range_ = _range_of(rounding, graph.constants, rounding.inputs[0])
        is_own = whole not in graph.outputs and all(whole != other for other, _ in found.values())
        if range_ is not None and is_own:
            found[name] = (whole, (shape, range_))
    return found
