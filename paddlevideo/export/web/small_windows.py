"""Depthwise convolutions of small maps as products of vectors, for a browser.

ONNX Runtime's WebAssembly is fast where a window is 3x3. For others it copies every window of a
channel side by side and multiplies that with one row of weights, which takes longer for a map of
few pixels than one product of its pixels with a matrix: the column of an output pixel has the
weights where its window is, and zeros elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

_MOST_NUMBERS = 50 * 50  # of a channel's matrix: with more the product takes longer
_LEAST_TAPS = 25


def multiply_small_windows(model: "ModelProto", shapes: Mapping[str, Sequence[int]]) -> None:
    """Write depthwise convolutions of 5x5 and more of small maps as ``MatMul``, in place.

    The file stays as small as it was: the matrices are what the convolution makes of maps with a
    single one in them, which ONNX Runtime computes once, when it loads the file.

    Args:
        shapes: [1, C, H, W] of the values.
    """
    graph = model.graph
    writer = _Writer({item.name for item in graph.initializer})
    nodes: list[NodeProto] = []
    for node in graph.node:
        nodes += writer.product(node, shapes) if _is_small(node, shapes, writer.fixed) else [node]
    graph.initializer.extend(writer.made.values())
    del graph.node[:]
    graph.node.extend(nodes)


def _is_small(node: "NodeProto", shapes: Mapping[str, Sequence[int]], fixed: set[str]) -> bool:
    if node.op_type != "Conv" or not fixed.issuperset(node.input[1:]):
        return False
    before, after = (shapes.get(name, ()) for name in (node.input[0], node.output[0]))
    if len(before) != 4 or len(after) != 4 or min(*before, *after) < 1 or before[0] != 1:
        return False
    numbers = {item.name: list(item.ints) or [item.i] for item in node.attribute}
    is_depthwise = numbers.get("group") == [before[1]] and after[1] == before[1]
    taps = np.prod(numbers.get("kernel_shape", [1]))
    pixels = before[2] * before[3] * after[2] * after[3]
    return bool(is_depthwise and taps >= _LEAST_TAPS and pixels <= _MOST_NUMBERS)


@dataclass
class _Writer:
    """Makes the nodes of a product.

    Attributes:
        fixed: names of weights.
        made: further ones, by name.
    """

    fixed: set[str]
    made: "dict[str, TensorProto]" = field(default_factory=dict)

    def product(self, node: "NodeProto", shapes: Mapping[str, Sequence[int]]) -> "list[NodeProto]":
        """The nodes in place of a convolution."""
        from onnx import helper

        made = node.output[0]
        _, channels, rows, columns = shapes[node.input[0]]
        after, pixels = list(shapes[made]), rows * columns
        ones, whole = self._ones(rows, columns), self._shape(pixels, channels, rows, columns)
        names = [f"{made}_{part}" for part in ("ones", "windows", "rows", "matrix", "vector")]
        maps, windows, flat, matrix, vector = names
        seen = helper.make_node("Conv", [maps, node.input[1]], [windows])
        seen.attribute.extend(node.attribute)
        result = f"{made}_product" if len(node.input) > 2 else made
        nodes = [
            helper.make_node("Expand", [ones, whole], [maps]),
            seen,
            helper.make_node("Reshape", [windows, self._shape(pixels, channels, -1)], [flat]),
            helper.make_node("Transpose", [flat], [matrix], perm=[1, 0, 2]),
            helper.make_node("Reshape", [node.input[0], self._shape(channels, 1, -1)], [vector]),
            helper.make_node("MatMul", [vector, matrix], [f"{made}_row"], name=node.name),
            helper.make_node("Reshape", [f"{made}_row", self._shape(*after)], [result]),
        ]
        if len(node.input) > 2:
            bias = f"{made}_bias"
            shape = self._shape(1, channels, 1, 1)
            nodes.append(helper.make_node("Reshape", [node.input[2], shape], [bias]))
            nodes.append(helper.make_node("Add", [result, bias], [made]))
        return nodes

    def _ones(self, rows: int, columns: int) -> str:
        """A map for each pixel, with a one there and zeros elsewhere."""
        from onnx import numpy_helper

        name, count = f"page_ones_{rows}_{columns}", rows * columns
        if name not in self.made:
            maps = np.eye(count, dtype=np.float32).reshape(count, 1, rows, columns)
            self.made[name] = numpy_helper.from_array(maps, name)
        return name

    def _shape(self, *numbers: int) -> str:
        from onnx import numpy_helper

        name = "page_shape_" + "_".join(map(str, numbers))
        self.made[name] = numpy_helper.from_array(np.array(numbers, np.int64), name)
        return name
