"""Layers of a folded MoViNet in a program: a convolution, what is added to it, its activation."""

from dataclasses import dataclass

import numpy as np

from paddlevideo.convert.paddle_program import Operation, Program

_CONVOLUTIONS = ("conv2d", "depthwise_conv2d")
_ONE_OPERATION = {
    "silu": "swish",
    "swish": "swish",
    "hardswish": "hard_swish",
    "sigmoid": "sigmoid",
    "relu": "relu",
    "relu6": "relu6",
    "mish": "mish",
    "gelu": "gelu",
    "tanh": "tanh",
}
_SIXTH, _TENSORFLOWS_SIXTH = 1.0 / 6.0, 0.16667


@dataclass(frozen=True)
class Activation:
    """What is done to the values of a layer.

    Attributes:
        name: of `paddlevideo.modeling.layers.activations`.
        inner: the value that it is applied to.
        factor: what the network multiplies by elsewhere: its `name` is `factor` times this.
    """

    name: str
    inner: int
    factor: float = 1.0


@dataclass(frozen=True)
class Tap:
    """The convolution with one frame of a kernel.

    Attributes:
        move: 0: of the frame itself; -1: of the one before it, and so on.
        state: instead: the name of the program's input that it sees.
    """

    kernel: int
    move: int = 0
    state: str | None = None


@dataclass(frozen=True)
class Layer:
    """A convolution with a bias and an activation; its numbers are those of the program's values.

    Attributes:
        taps: the first is of the frame itself.
        input: the value that it reads.
        factor: of its activation; see `Activation`.
    """

    program: Program
    operation: Operation
    taps: tuple[Tap, ...]
    bias: int
    activation: str
    input: int
    factor: float = 1.0

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """[C_out, C_in of a group, H, W]."""
        return self.program.shapes[self.taps[0].kernel]

    @property
    def channels(self) -> tuple[int, int]:
        """Of its input, where it has no groups, and of its result."""
        return self.kernel_shape[1], self.kernel_shape[0]

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Height and width."""
        return self.kernel_shape[2:]

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel has a kernel of its own."""
        return bool(self.operation.attributes["groups"] == self.kernel_shape[0] > 1)

    @property
    def is_pointwise(self) -> bool:
        """Whether it is a 1x1 convolution of single frames."""
        simple = not self.is_depthwise and self.stride == (1, 1) and len(self.taps) == 1
        return simple and self.kernel_size == (1, 1)

    @property
    def stride(self) -> tuple[int, int]:
        """Along height and width."""
        rows, columns = self.operation.attributes["strides"]
        return int(rows), int(columns)

    @property
    def padding(self) -> list[int]:
        """Zeros above, below, left and right."""
        padding = [int(size) for size in self.operation.attributes["paddings"]]
        return padding if len(padding) == 4 else [padding[0]] * 2 + [padding[1]] * 2

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of its input."""
        return self.program.shapes[self.input][-2:]

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The kernel of a layer of single frames, [C_out, C_in, H, W], and the bias, [C_out]."""
        return self.program.array(self.taps[0].kernel), self.program.array(self.bias)


def layer_at(program: Program, number: int) -> Layer | None:
    """The layer whose result a value is; None where it is none."""
    activation = activation_at(program, number)
    return _linear(program, activation) or (
        None
        if activation.inner == number
        else _linear(program, Activation("identity", program.source(number)))
    )


def _linear(program: Program, activation: Activation) -> Layer | None:
    taps: list[Tap] = []
    number = activation.inner
    while (maker := program.maker(number, "add")) is not None:
        pairs = (maker.inputs, maker.inputs[::-1])
        for value, bias in pairs:
            own = program.maker(value, *_CONVOLUTIONS)
            if own is not None and program.is_parameter(bias):
                kernel = program.source(own.inputs[1])
                source = program.source(own.inputs[0])
                every = (Tap(kernel), *reversed(taps))
                bias = program.source(bias)
                name, factor = activation.name, activation.factor
                return Layer(program, own, every, bias, name, source, factor)
        found = [(value, tap) for value, other in pairs if (tap := _tap(program, other))]
        if not found:
            return None
        number = found[0][0]
        taps.append(found[0][1])
    return None


def _tap(program: Program, number: int) -> Tap | None:
    """A convolution without a bias that is added: of a state, or moved along the clip."""
    own = program.maker(number, *_CONVOLUTIONS)
    if own is not None:
        name = program.input_name(own.inputs[0])
        return None if name is None else Tap(program.source(own.inputs[1]), state=name)
    parts = joined(program, number, axis=1)
    makers = [program.maker(part) for part in parts]
    kinds = [maker.kind for maker in makers if maker is not None]
    if sorted(kinds) != ["full_like", "slice"] or len(makers) != 2:
        return None
    zeros, kept = kinds.index("full_like"), kinds.index("slice")
    lost, slicing = program.shapes[parts[zeros]][1], makers[kept]
    assert slicing is not None
    own = program.maker(slicing.inputs[0], *_CONVOLUTIONS)
    starts = program.constant(slicing.inputs[1])
    if own is None or starts != [0 if zeros == 0 else lost]:
        return None
    return Tap(program.source(own.inputs[1]), -lost if zeros == 0 else lost)


def joined(program: Program, number: int, axis: int) -> list[int]:
    """The values that are put side by side along an axis; none where a value is no such."""
    maker = program.maker(number, "concat")
    if maker is None or program.constant(maker.inputs[1]) != axis:
        return []
    parts = program.maker(maker.inputs[0], "combine")
    return [] if parts is None else list(parts.inputs)


def activation_at(program: Program, number: int) -> Activation:
    """The activation that gives a value; ``identity`` where no known one does."""
    number = program.source(number)
    maker = program.maker(number)
    if maker is None:
        return Activation("identity", number)
    if maker.kind in _ONE_OPERATION:
        return Activation(_ONE_OPERATION[maker.kind], maker.inputs[0])
    if maker.kind == "hardsigmoid" and _near(maker.attributes["offset"], 0.5):
        slope = maker.attributes["slope"]
        if _near(slope, _SIXTH):
            return Activation("hard_sigmoid", maker.inputs[0], 6.0 * _TENSORFLOWS_SIXTH)
        if _near(slope, 0.2):
            return Activation("keras_hard_sigmoid", maker.inputs[0])
    return (
        _leaky_relu(program, maker) or _composed(program, number) or Activation("identity", number)
    )


def _leaky_relu(program: Program, maker: Operation) -> Activation | None:
    if maker.kind != "maximum":
        return None
    value, other = maker.inputs
    scaled = scaled_at(program, other)
    if scaled is None or program.source(scaled[0]) != program.source(value):
        return None
    return Activation("leaky_relu", value) if _near(scaled[1], 0.01) and not scaled[2] else None


def _composed(program: Program, number: int) -> Activation | None:
    """A hard sigmoid of several operations."""
    outer = scaled_at(program, number)
    cut = None if outer is None else program.maker(outer[0], "relu6")
    if outer is not None and cut is not None and not outer[2]:
        inner = scaled_at(program, cut.inputs[0])
        if _near(outer[1], _TENSORFLOWS_SIXTH) and inner and inner[1:] == (1.0, 3.0):
            return Activation("hard_sigmoid", inner[0])
    cut = program.maker(number, "clip")
    if cut is None or [program.constant(bound) for bound in cut.inputs[1:]] != [0.0, 1.0]:
        return None
    inner = scaled_at(program, cut.inputs[0])
    if inner is not None and inner[2] and _near(inner[2], 0.5):
        product = (inner[0], inner[1]) if not _near(inner[1], 1.0) else scaled_at(program, inner[0])
        if product is not None and _near(product[1], 0.2):
            return Activation("keras_hard_sigmoid", product[0])
    return None


def scaled_at(program: Program, number: int) -> tuple[int, float, float] | None:
    """The value, product and sum of ``value * product + sum``; None for another operation."""
    maker = program.maker(number, "scale")
    if maker is None:
        return None
    factor = program.constant(maker.inputs[1])
    bias = float(maker.attributes["bias"])
    if isinstance(factor, list):
        raise ValueError("a value is multiplied by a list")
    return maker.inputs[0], factor, bias if maker.attributes["bias_after_scale"] else bias * factor


def _near(value: float, expected: float) -> bool:
    return abs(value - expected) < 1e-6
