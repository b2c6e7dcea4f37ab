"""Turn the nodes of an ONNX graph into few operations: what follows a product becomes part of it.

The rules: an activation joins the product before it; a sum joins a product of which it is the only
reader, as its shortcut; a sum of 1x1 depthwise convolutions (a temporal kernel, one tap for each
frame) is one weighted sum; a conversion and an offset of the frame join the first convolution.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.clip_graph import CLIP_AXES
from paddlevideo.runtime.engines.compiled.clip_lowering import (
    joined_moves,
    moved_tap,
    pad_frames,
)
from paddlevideo.runtime.engines.compiled.convolutions import (
    convolution,
    places_of,
    stride_and_pads,
)
from paddlevideo.runtime.engines.compiled.graph import Graph, Node
from paddlevideo.runtime.engines.compiled.integer_lowering import use_integers
from paddlevideo.runtime.engines.compiled.joining import (
    PRODUCTS,
    join_expansions,
    join_gates,
    join_swish,
)
from paddlevideo.runtime.engines.compiled.operations import (
    IDENTITY,
    Activation,
    CompiledProgram,
    Operation,
    Shape,
    rounding_of,
)
from paddlevideo.runtime.engines.compiled.table import MOST_MAPS
from paddlevideo.utils.eight_bits import Range

_BYTES = Range(1.0, 0)  # a frame's own steps
_WITH_SHORTCUT = ("dense", "depthwise")
_FUNCTIONS = {
    "Sin": "sine",
    "Cos": "cosine",
    "Floor": "floor",
    "Reciprocal": "reciprocal",
    "Sigmoid": "sigmoid",
}


def lower(graph: Graph, integers: bool = True) -> CompiledProgram:
    """The operations of a graph that `validate` has proven.

    Args:
        integers: compute on 8 bits what the file says so of; else in float32, rounded alike.

    Raises:
        UnsupportedProgramError: it has a node that no operation stands for.
    """
    return _Lowering(graph).program(integers)


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.constants = graph.constants
        self.operations: dict[str, Operation] = {}
        self.shapes: dict[str, Shape] = {}
        self.alias: dict[str, str] = {}
        self.offsets: dict[str, tuple[str, np.ndarray]] = {}  # of frames not yet convolved
        self.ranges: dict[str, Range] = {}  # of maps on 8 bits
        self.frames: dict[str, int] = {}  # rows of a clip in its maps
        self.uses = Counter(name for node in graph.nodes for name in node.inputs)
        self.uses.update(graph.outputs)
        for name, info in graph.inputs.items():
            if len(info.shape) == CLIP_AXES:
                self.frames[name] = info.shape[0]
            elif len(info.shape) != 3:
                raise UnsupportedProgramError(f"input {name} of {len(info.shape) + 1} axes")
            channels, rows, columns = info.shape[-3:]
            self.shapes[name] = (channels, rows, columns)
            if info.range is not None:
                self.ranges[name] = info.range

    def program(self, integers: bool) -> CompiledProgram:
        """Handle every node in order."""
        rules: dict[str, Callable[[Node], None]] = {
            "Conv": self._convolution,
            "HardSigmoid": self._hard_sigmoid,
            "HardSwish": self._hard_swish,
            "Relu": lambda node: self._activate(node, Activation(low=0.0)),
            "Clip": self._clip,
            "Mul": self._product,
            "Add": self._sum,
            "GlobalAveragePool": self._mean,
            "AveragePool": self._average,
            "Concat": self._concat,
            "Cast": self._cast,
            "Reshape": self._reshape,
            "QuantizeLinear": self._quantize,
            "DequantizeLinear": self._dequantize,
            **dict.fromkeys(_FUNCTIONS, self._function),
            "Frames": self._reshape,
            "ByFrame": self._by_frame,
            "ByRow": self._reshape,
            "Moved": self._moved,
            "AddByFrame": self._add_by_frame,
            "MixFrames": self._mix_frames,
        }
        for node in self.graph.nodes:
            rules[node.kind](node)
        self._join(integers)
        read = {name for operation in self.operations.values() for name in operation.read}
        outputs = {name: self._name(name) for name in self.graph.outputs}
        for operation in self.operations.values():
            if len(operation.inputs) > MOST_MAPS and operation.kind == "weighted_sum":
                raise UnsupportedProgramError(f"a sum of {len(operation.inputs)} maps")
        missing = [
            name
            for name in (read | set(outputs.values()))
            if name not in self.shapes and name not in self.constants
        ]
        if missing or any(name in self.offsets for name in read):
            raise UnsupportedProgramError("a frame that is not first convolved")
        return CompiledProgram(
            operations=tuple(self.operations.values()),
            inputs=self.graph.inputs,
            constants={n: v for n, v in self.constants.items() if n in read},
            outputs=outputs,
            shapes=self.shapes,
            pictures=frozenset(
                name
                for operation in self.operations.values()
                if operation.kind in ("convolution", "integer_convolution")
                for name in operation.inputs
            ),
            rows=frozenset(self.alias),
            counters=frozenset(name for name in self.shapes if self._is_integer(name)),
            ranges=self.ranges,
            frames={n: f for n, f in self.frames.items() if n in read or n in self.shapes},
        )

    def _join(self, integers: bool) -> None:
        outputs = list(map(self._name, self.graph.outputs))
        if not self.ranges:
            join_swish(self.operations, outputs)
        join_expansions(self.operations, outputs)
        join_gates(self.operations, outputs)
        if integers and self.ranges:
            inputs = self.graph.inputs
            self.operations = use_integers(self.operations, self.ranges, set(outputs), inputs)
        if self.ranges and self.frames:
            join_swish(self.operations, outputs)
        self.operations = pad_frames(
            self.operations, self.shapes, self.frames, self.ranges, outputs
        )

    def _name(self, name: str) -> str:
        return self.alias.get(name, name)

    def _emit(self, operation: Operation) -> None:
        self.operations[operation.output] = operation
        self.shapes[operation.output] = operation.shape
        frames = max((self.frames.get(name, 1) for name in operation.read), default=1)
        if self.frames and operation.kind != "mix":
            self.frames[operation.output] = frames

    def _only_reader(self, name: str, uses: int = 1) -> Operation | None:
        """The operation that makes ``name`` if nobody but the node at hand reads it."""
        return self.operations.get(name) if self.uses[name] == uses else None

    def _shape(self, name: str) -> Shape:
        if name in self.shapes:
            return self.shapes[name]
        value = self.constants.get(name)
        if value is None:
            raise UnsupportedProgramError(f"tensor {name}")
        sizes = (1,) * (4 - value.ndim) + value.shape
        if value.ndim > 4 or sizes[0] != 1:
            raise UnsupportedProgramError(f"a constant of shape {list(value.shape)}")
        return sizes[1], sizes[2], sizes[3]

    def _convolution(self, node: Node) -> None:
        source, offset = self.offsets.get(node.inputs[0], (self._name(node.inputs[0]), None))
        self._emit(convolution(node, self.graph, source, self._shape(source), offset))

    def _activate(self, node: Node, activation: Activation) -> None:
        self._activate_tensor(self._name(node.inputs[0]), node.output, activation, uses=1)

    def _activate_tensor(self, x: str, output: str, activation: Activation, uses: int) -> None:
        before = self._only_reader(x, uses)
        if before is not None and before.kind in PRODUCTS and before.activation == IDENTITY:
            del self.operations[x]
            self._emit(before.named(output, activation=activation))
        else:
            options = {"function": "clip"}
            self._emit(Operation("function", (x,), output, self._shape(x), activation=activation,
                                 options=options))  # fmt: skip

    def _hard_sigmoid(self, node: Node) -> None:
        alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
        gate = Activation(alpha, beta, 0.0, 1.0)
        # With its factor still to come it may turn out to be a hard swish.
        x = self._name(node.inputs[0])
        self._emit(Operation("function", (x,), node.output, self._shape(x), activation=gate,
                             options={"function": "clip"}))  # fmt: skip
        if not self._is_own_factor(node.output, x):
            before = self._only_reader(x)
            if before is not None and before.kind in PRODUCTS and before.activation == IDENTITY:
                del self.operations[x], self.operations[node.output]
                self._emit(before.named(node.output, activation=gate))

    def _is_own_factor(self, gate: str, x: str) -> bool:
        """Whether the gate's only reader multiplies it with what it was made of."""
        readers = [node for node in self.graph.nodes if gate in node.inputs]
        if self.uses[gate] != 1 or len(readers) != 1:
            return False
        return readers[0].kind == "Mul" and x in map(self._name, readers[0].inputs)

    def _hard_swish(self, node: Node) -> None:
        self._activate(node, Activation(1 / 6, 0.5, 0.0, 1.0, multiply=True))

    def _clip(self, node: Node) -> None:
        bounds = [
            float(self.constants[name]) if name else default
            for name, default in zip(
                (*node.inputs[1:], "", "")[:2], (-float("inf"), float("inf")), strict=True
            )
        ]
        self._activate(node, Activation(low=bounds[0], high=bounds[1]))

    def _product(self, node: Node) -> None:
        a, b = map(self._name, node.inputs)
        for x, gate in ((a, b), (b, a)):
            made = self._only_reader(gate)
            if made is None or made.kind != "function" or made.inputs != (x,):
                continue
            if made.options["function"] == "clip" and not made.activation.multiply:
                del self.operations[gate]
                swish = replace(made.activation, multiply=True)
                self._activate_tensor(x, node.output, swish, uses=2)
                return
            if made.options["function"] == "sigmoid":
                del self.operations[gate]
                self._emit(made.named(node.output, options={"function": "silu"}))
                return
        for x, factors in ((a, b), (b, a)):
            shape, other = self._shape(x), self._shape(factors)
            if shape[1:] != (1, 1) and other == (shape[0], 1, 1):
                self._emit(Operation("scale", (x, factors), node.output, shape))
                return
        self._combine(node, a, b, is_product=True)

    def _sum(self, node: Node) -> None:
        a, b = map(self._name, node.inputs)
        for x, y in ((a, b), (b, a)):
            if self._is_frame(x) and y in self.constants and self._shape(y)[1:] == (1, 1):
                source, offset = self.offsets.get(x, (x, np.float32(0)))
                added = np.broadcast_to(
                    offset + self.constants[y].reshape(-1).astype(np.float32),
                    self._shape(source)[0],
                )
                self.offsets[node.output] = (source, added)
                return
        over_time = joined_moves(self._only_reader(a), self._only_reader(b), node.output)
        if over_time is not None:
            del self.operations[a], self.operations[b]
            self._emit(over_time)
            return
        if self._joined_taps(node, a, b):
            return
        for x, y in ((a, b), (b, a)):
            product = self._only_reader(x)
            joins = product is not None and product.kind in _WITH_SHORTCUT
            free = product is not None and product.shortcut is None
            fits = product is not None and product.activation == IDENTITY
            same = product is not None and y in self.shapes and self.shapes[y] == product.shape
            if product is not None and joins and free and fits and same:
                del self.operations[x]
                self._emit(product.named(node.output, shortcut=y))
                return
        self._combine(node, a, b, is_product=False)

    def _joined_taps(self, node: Node, a: str, b: str) -> bool:
        one, other = self._only_reader(a), self._only_reader(b)
        for taps in (one, other):
            if taps is None or taps.kind != "weighted_sum" or taps.activation != IDENTITY:
                return False
        if one is None or other is None or one.weights is None or other.weights is None:
            return False
        if one.bias is None or other.bias is None or one.shape != other.shape:
            return False
        del self.operations[a], self.operations[b]
        self._emit(
            one.named(
                node.output,
                inputs=(*one.inputs, *other.inputs),
                weights=np.concatenate([one.weights, other.weights]),
                bias=one.bias + other.bias,
            )
        )
        return True

    def _is_frame(self, name: str) -> bool:
        """Whether it is a picture: an input of several pixels that is added to a constant."""
        info = self.graph.inputs.get(name)
        return name in self.offsets or (info is not None and info.shape[1:] != (1, 1))

    def _combine(self, node: Node, a: str, b: str, is_product: bool) -> None:
        if any(self._is_integer(name) for name in (a, b)):
            step = self.constants.get(b)
            if is_product or step is None or step.size != 1:
                raise UnsupportedProgramError("arithmetic of integers but adding a constant")
            options = {"step": int(step.reshape(()))}
            self._emit(Operation("count", (a,), node.output, (1, 1, 1), options=options))
            return
        shapes = [self._shape(a), self._shape(b)]
        largest = max(shapes, key=lambda shape: int(np.prod(shape)))
        if any(shape != largest and int(np.prod(shape)) != 1 for shape in shapes):
            raise UnsupportedProgramError(f"{node.kind} of {shapes[0]} and {shapes[1]}")
        options = {"is_product": is_product}
        self._emit(Operation("combine", (a, b), node.output, largest, options=options))

    def _is_integer(self, name: str) -> bool:
        info = self.graph.inputs.get(name)
        made = self.operations.get(name)
        return (info is not None and info.dtype == np.int32) or (
            made is not None and made.kind == "count"
        )

    def _mean(self, node: Node) -> None:
        x = self._name(node.inputs[0])
        channels, rows, columns = self._shape(x)
        options = {"pixels": rows * columns}
        self._emit(Operation("mean", (x,), node.output, (channels, 1, 1), options=options))

    def _average(self, node: Node) -> None:
        x = self._name(node.inputs[0])
        kernel = node.attributes["kernel_shape"][0]
        stride, pads = stride_and_pads(node)
        channels, rows, columns = self._shape(x)
        options = {"kernel": kernel, "stride": stride, "pads": pads}
        shape = (channels, *places_of(rows, columns, kernel, stride, pads))
        self._emit(Operation("average", (x,), node.output, shape, options=options))

    def _concat(self, node: Node) -> None:
        names = tuple(map(self._name, node.inputs))
        shape = (sum(self._shape(name)[0] for name in names), 1, 1)
        self._emit(Operation("concat", names, node.output, shape))

    def _cast(self, node: Node) -> None:
        x = self._name(node.inputs[0])
        if x in self.graph.inputs and self.graph.inputs[x].dtype == np.uint8:
            channels = self._shape(x)[0]
            self.offsets[node.output] = (x, np.zeros(channels, np.float32))
        elif self._is_integer(x):
            self._emit(Operation("number", (x,), node.output, (1, 1, 1)))
        else:
            raise UnsupportedProgramError("a cast of what is no frame and no counter")

    def _quantize(self, node: Node) -> None:
        scale, zero = (self.constants[name] for name in node.inputs[1:])
        range_ = Range(float(scale), int(zero))
        if node.inputs[0] in self.offsets:
            source, offset = self.offsets[node.inputs[0]]
            info = self.graph.inputs[source]
            if range_ != _BYTES or offset.any() or info.dtype != np.uint8:
                raise UnsupportedProgramError("a frame rounded to other steps than its own")
            self.offsets[node.output] = (source, offset)
            return
        x = self._name(node.inputs[0])
        self.ranges[node.output] = range_
        self._emit(Operation("quantize", (x,), node.output, self._shape(x),
                             rounding=rounding_of(range_)))  # fmt: skip

    def _dequantize(self, node: Node) -> None:
        if node.inputs[0] in self.offsets:
            self.offsets[node.output] = self.offsets[node.inputs[0]]
            return
        x = node.inputs[0]
        self._emit(Operation("dequantize", (x,), node.output, self._shape(x),
                             rounding=rounding_of(self.ranges[x])))  # fmt: skip

    def _reshape(self, node: Node) -> None:
        x = self._name(node.inputs[0])
        self.alias[node.output] = x
        self.uses[x] += self.uses[node.output]

    def _by_frame(self, node: Node) -> None:
        x = self._name(node.inputs[0])
        self.alias[node.output] = x
        self.uses[x] += self.uses[node.output] - 1

    def _moved(self, node: Node) -> None:
        x = self._name(node.inputs[0])
        moved = moved_tap(self._only_reader(x), node.output, node.attributes["move"])
        del self.operations[x]
        self._emit(moved)

    def _add_by_frame(self, node: Node) -> None:
        x, added = self._name(node.inputs[0]), node.inputs[1]
        if any(node.kind != "AddByFrame" for node in self.graph.nodes if added in node.inputs):
            raise UnsupportedProgramError("a constant of several uses that is added to frames")
        self.frames[added] = self.frames[x]
        options = {"is_product": False}
        self._emit(Operation("combine", (x, added), node.output, self._shape(x), options=options))

    def _mix_frames(self, node: Node) -> None:
        x, matrix = self._name(node.inputs[0]), self.constants[node.inputs[1]]
        self.frames[node.output] = len(matrix)
        self._emit(Operation("mix", (x,), node.output, self._shape(x), matrix))

    def _function(self, node: Node) -> None:
        x = self._name(node.inputs[0])
        options = {"function": _FUNCTIONS[node.kind]}
        self._emit(Operation("function", (x,), node.output, self._shape(x), options=options))
