"""The roundings of a program that was trained for 8 bits, found in its ONNX file.

Each is ``Mul(1 / scale), Round, Clip(-zero, 255 - zero), Mul(scale)``: nothing else of a network
rounds. Where the scale is 1, the products are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.export.onnx_weights import stored_values
from paddlevideo.utils.eight_bits import LEVELS, Range

if TYPE_CHECKING:
    from onnx import ModelProto

_SCALE_TOLERANCE = 1e-5  # of the product of both factors


@dataclass(frozen=True)
class FoundRounding:
    """One rounding.

    Attributes:
        input, output: names of the tensor before it and of the rounded one.
        range: that was trained.
        nodes: indices of its nodes in the graph.
    """

    input: str
    output: str
    range: Range
    nodes: frozenset[int]


def find_roundings(model: "ModelProto") -> list[FoundRounding]:
    """Every rounding of a program, in order; none in one that was not trained for 8 bits."""
    graph = _Graph(model)
    found = (graph.rounding_at(index) for index in range(len(model.graph.node)))
    return [rounding for rounding in found if rounding is not None]


class _Graph:
    def __init__(self, model: "ModelProto") -> None:
        self._nodes = list(model.graph.node)
        self._values: Mapping[str, np.ndarray] = stored_values(model)
        self._makers = {name: i for i, node in enumerate(self._nodes) for name in node.output}
        self._readers: dict[str, list[int]] = {}
        for index, node in enumerate(self._nodes):
            for name in node.input:
                self._readers.setdefault(name, []).append(index)
        self._outputs = {value.name for value in model.graph.output}

    def rounding_at(self, index: int) -> FoundRounding | None:
        """The rounding whose ``Round`` is this node."""
        node = self._nodes[index]
        if node.op_type != "Round":
            return None
        clip = self._only_reader(node.output[0], "Clip")
        if clip is None:
            return None
        low, high = (self._number(name) for name in self._nodes[clip].input[1:3])
        if low is None or high is None or high - low != LEVELS or not -LEVELS <= low <= 0:
            return None
        source, output, scale, nodes = (
            node.input[0],
            self._nodes[clip].output[0],
            1.0,
            {index, clip},
        )
        before, behind = self._makers.get(source), self._only_reader(output, "Mul")
        if before is not None and behind is not None and self._nodes[before].op_type == "Mul":
            inverse, factor = self._factor(before), self._factor(behind)
            if inverse and factor and abs(inverse[1] * factor[1] - 1.0) < _SCALE_TOLERANCE:
                source, scale = inverse[0], factor[1]
                output = self._nodes[behind].output[0]
                nodes |= {before, behind}
        return FoundRounding(source, output, Range(scale, int(-low)), frozenset(nodes))

    def _only_reader(self, tensor: str, kind: str) -> int | None:
        readers = self._readers.get(tensor, [])
        if len(readers) != 1 or tensor in self._outputs:
            return None
        return readers[0] if self._nodes[readers[0]].op_type == kind else None

    def _factor(self, index: int) -> tuple[str, float] | None:
        """Of a product with a constant: the other tensor, and the constant."""
        first, second = self._nodes[index].input
        for tensor, constant in ((first, second), (second, first)):
            number = self._number(constant)
            if number is not None and tensor not in self._values:
                return tensor, number
        return None

    def _number(self, name: str) -> float | None:
        value = self._values.get(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None
