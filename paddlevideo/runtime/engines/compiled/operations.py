"""What a compiled program consists of: few operations that do much each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from paddlevideo.runtime.engines.base import Products
from paddlevideo.runtime.engines.compiled.graph import StoredWeights, TensorInfo
from paddlevideo.utils.eight_bits import LEVELS, Range

READ_BYTES = (
    "integer_dense",
    "integer_depthwise",
    "integer_mean",
    "integer_average",
    "integer_padded",
    "integer_temporal",
    "dequantize",
)
"""Kinds whose inputs are maps on 8 bits; those of a ``mixed_sum`` may be."""

Shape = tuple[int, int, int]
"""Channels, rows, columns of one stream's map."""


@dataclass(frozen=True)
class Activation:
    """``clip(alpha x + beta, low, high)``, times x where ``multiply``.

    Hard swish, hard sigmoid, ReLU, ReLU6 and the identity are of this form. Where ``silu`` the
    rest does nothing, and x times its sigmoid is meant.
    """

    alpha: float = 1.0
    beta: float = 0.0
    low: float = -float("inf")
    high: float = float("inf")
    multiply: bool = False
    silu: bool = False


IDENTITY = Activation()


@dataclass(frozen=True)
class Rounding:
    """How numbers become steps of 8 bits: ``clip(rint(x / scale), low, high)``, halves to even.

    Attributes:
        scale: of one step.
        low, high: bounds of the steps from zero.
        zero: what is stored for zero.
    """

    scale: float
    low: float
    high: float
    zero: int


def rounding_of(range_: Range, activation: Activation = IDENTITY) -> Rounding | None:
    """The rounding to a range of what is bounded before; None where bounds cannot say it."""
    if activation.multiply or activation.silu or (activation.alpha, activation.beta) != (1.0, 0.0):
        return None
    scale = np.float32(range_.scale)
    low, high = float(-range_.zero_point), float(LEVELS - range_.zero_point)
    with np.errstate(over="ignore"):
        least, most = np.rint(np.float32([activation.low, activation.high]) / scale)
    least, most = np.clip([least, most], low, high)
    return Rounding(float(scale), float(least), float(most), range_.zero_point)


@dataclass(frozen=True)
class IntegerWeights:
    """Weights on 8 bits, as the file has them.

    Attributes:
        weights: int8, laid out as the operation's floats.
        scale_C: of each output channel.
        bias_C: 32-bit integers, and the scale of each; None is no bias.
    """

    weights: np.ndarray
    scale_C: np.ndarray
    bias_C: np.ndarray | None
    bias_scale_C: np.ndarray | None


@dataclass(frozen=True)
class Operation:
    """One operation on maps.

    Attributes:
        kind: ``dense``, ``convolution``, ``depthwise``, ``weighted_sum``, ``mean``, ``scale``,
            ``average``, ``combine``, ``function``, ``concat``, ``copy``, ``count`` or ``number``;
            ``quantize`` or ``dequantize``; on maps of 8 bits ``integer_dense``,
            ``integer_convolution``, ``integer_depthwise``, ``mixed_sum``, ``integer_mean``,
            ``integer_average``, ``integer_scale`` or ``scale_bytes``; between the frames of a clip
            ``padded``, ``temporal`` and ``mix``, and ``integer_padded`` and ``integer_temporal``.
        inputs: names of maps or constants.
        output: name of the map.
        shape: of the output.
        weights, bias: where the kind has them; as `lowering` lays them out.
        shortcut: a map that is added before the activation.
        gate: one factor for each channel of the input of a product.
        expand: a product that makes the input of a depthwise convolution or of ``padded``, and
            nothing else's.
        options: sizes and the like of the kind.
        integers: the weights on 8 bits, where the file has them so.
        stored: the weights [depth, channels] as int8 or float16 of which floats were made.
        factor_C: value of one step of the sums of integers, by output channel.
        inner: how the sums of integers are rounded before what follows them.
        rounded: name of a map on 8 bits that it makes too, or alone.
        rounding: of that map.
        writes: whether ``output`` is made.
        products: of a ``dense``: what its input (times the gate) and its weights are rounded to.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    shape: Shape
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    shortcut: str | None = None
    gate: str | None = None
    expand: "Operation | None" = None
    activation: Activation = IDENTITY
    options: dict[str, Any] = field(default_factory=dict)
    integers: IntegerWeights | None = None
    stored: StoredWeights | None = None
    factor_C: np.ndarray | None = None
    inner: Rounding | None = None
    rounded: str | None = None
    rounding: Rounding | None = None
    writes: bool = True
    products: Products = "float32"

    @property
    def own_weights(self) -> np.ndarray:
        """The weights of an operation that has some."""
        if self.weights is None:
            raise ValueError(f"{self.kind} without weights")
        return self.weights

    @property
    def made(self) -> tuple[str, ...]:
        """All maps it makes."""
        output = (self.output,) if self.writes else ()
        return output if self.rounded is None else (*output, self.rounded)

    @property
    def read(self) -> tuple[str, ...]:
        """All maps it reads."""
        more = (self.shortcut, self.gate)
        return (*self.inputs, *(name for name in more if name is not None))

    def multiply_adds(self, shapes: Mapping[str, Shape]) -> int:
        """Of one stream: those of its weights at every place.

        Args:
            shapes: of the maps.
        """
        pixels = self.shape[1] * self.shape[2]
        own = 0 if self.weights is None else pixels * self.weights.size
        if self.expand is None:
            return own
        _, rows, columns = shapes[self.inputs[0]]
        before = 0 if self.expand.weights is None else self.expand.weights.size
        return own + rows * columns * before

    def named(self, output: str, **changes: Any) -> "Operation":
        """The same with another output, and what else is to change."""
        return replace(self, output=output, **changes)


@dataclass(frozen=True)
class CompiledProgram:
    """Operations in order, and what they read and write.

    Attributes:
        inputs: of the file.
        constants: small operands, by name.
        outputs: names in the file's order, and the maps that hold them.
        shapes: of every map.
        pictures: inputs that are read as they are, [B, C, H, W], by a convolution.
        rows: outputs [B, N].
        counters: maps that hold one integer.
        ranges: of the maps on 8 bits.
        frames: rows of a clip in each map of the program of a clip, and in constants that have a
            value for each; of others, and in step programs, one.
    """

    operations: tuple[Operation, ...]
    inputs: dict[str, TensorInfo]
    constants: dict[str, np.ndarray]
    outputs: dict[str, str]
    shapes: dict[str, Shape]
    pictures: frozenset[str]
    rows: frozenset[str]
    counters: frozenset[str]
    ranges: dict[str, Range] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)

    @property
    def is_clip(self) -> bool:
        """Whether it takes clips, whose frames are rows of its maps."""
        return bool(self.frames)

    @property
    def num_frames(self) -> int:
        """Frames of a clip; one of a step program."""
        return max((self.frames_of(name) for name in self.inputs), default=1)

    def frames_of(self, name: str) -> int:
        """Rows of a clip, or of a stream, in a map."""
        return self.frames.get(name, 1)
