"""Kernels over time in the program of a clip: which 2-D convolutions are frames of one.

A kernel of several frames is written as a convolution for each of them, whose results are moved
along the clip (reshaped, sliced, joined with zeros) and added.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_MOVES = ("Reshape", "Slice", "Concat")


@dataclass(frozen=True)
class KernelOverTime:
    """Convolutions that are one.

    Attributes:
        total: the name of their sum.
        others: the kernels of those but the first of the file, by what they give.
    """

    total: str
    others: Mapping[str, str]


def kernels_over_time(graph: "GraphProto") -> dict[str, KernelOverTime]:
    """The kernels of several frames, by the output of the convolution that has the bias."""
    found = _Sums(graph)
    kernels: dict[str, KernelOverTime] = {}
    for node in graph.node:
        parts = found.parts_of(node.output[0]) if node.op_type == "Add" else []
        if len(parts) < 2 or found.is_part(node.output[0]):
            continue
        with_bias = [part for part in parts if len(part.input) > 2] or parts[:1]
        if len(with_bias) == 1:
            others = {part.output[0]: part.input[1] for part in parts if part != with_bias[0]}
            kernels[with_bias[0].output[0]] = KernelOverTime(node.output[0], others)
    return kernels


class _Sums:
    def __init__(self, graph: "GraphProto") -> None:
        self._makers = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def is_part(self, name: str) -> bool:
        """Whether a sum is one of a larger kernel."""
        readers = self._readers.get(name, [])
        return len(readers) == 1 and bool(
            readers[0].op_type == "Add" and self.parts_of(readers[0].output[0])
        )

    def parts_of(self, name: str) -> list["NodeProto"]:
        """The convolutions of which ``name`` is the sum; none where it is another one."""
        node = self._makers.get(name)
        if node is None or node.op_type != "Add":
            return []
        parts: list[NodeProto] = []
        for source in node.input:
            convolution = self._convolution(source)
            more = [convolution] if convolution is not None else self.parts_of(source)
            if not more or len(self._readers[source]) != 1:
                return []
            parts += more
        return parts if len({part.input[0] for part in parts}) == 1 else []

    def _convolution(self, name: str) -> "NodeProto | None":
        """The depthwise convolution that makes ``name``, or that of which it is moved frames."""
        node = self._makers.get(name)
        while node is not None and node.op_type in _MOVES:
            made = [self._makers.get(each) for each in node.input]
            parts = [each for each in made if each is not None and each.op_type != "Expand"]
            node = parts[0] if len(parts) == 1 else None
        if node is None or node.op_type != "Conv":
            return None
        is_depthwise = any(item.name == "group" and item.i > 1 for item in node.attribute)
        return node if is_depthwise else None
