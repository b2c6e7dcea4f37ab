"""Quantisation-aware layers' shared parts: ranges that follow what they see, and when to round.

A layer that can be trained for 8 bits has a method ``quantize``, which gives it roundings at the
tensors that an int8 bundle rounds: the outputs of convolutions, activations and sums, pooled
vectors, and with them the frames that streams keep (docs/quantization.md).
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.layers.activations import Activation
from paddlevideo.modeling.layers.fake_quantization import (
    fake_quantize,
    fake_quantize_kernel,
    low_and_high,
    round_kernel,
)
from paddlevideo.modeling.layers.initializers import constant
from paddlevideo.utils.eight_bits import LEVELS, Range, range_of

# How the names of ranges end in a file of weights.
RANGE_NAME = "rounding_range"
# Integer convolutions take these along: the output behind them is the one that is rounded.
_FUSED_ACTIVATIONS = ("identity", "relu", "relu6")


class Phase(Enum):
    """How a quantised network computes."""

    FLOAT = "as if it were not quantised"
    OBSERVING = "with rounded numbers; steps with gradients move the ranges"
    FIXED = "with rounded numbers"


@dataclass
class Quantization:
    """What all layers of one quantised network share.

    Attributes:
        momentum: weight of the old range at each step.
        phase: set by the training, and when weights with ranges are loaded.
    """

    momentum: float = 0.9
    phase: Phase = Phase.FLOAT

    @property
    def is_on(self) -> bool:
        """Whether numbers are rounded."""
        return self.phase is not Phase.FLOAT


class Rounding(nn.Layer):
    """Round a tensor to 8 bits over a running range of its smallest and largest values.

    A range of nothing but zeros, as before the first step, rounds nothing.
    """

    def __init__(self, quantization: Quantization) -> None:
        super().__init__()
        self.quantization = quantization
        # A parameter without a gradient, as batch norm's running statistics: saved with the
        # weights, averaged over processes.
        self.rounding_range = self.create_parameter([2], attr=constant(0.0))
        self.rounding_range.stop_gradient = True
        self.rounding_range.trainable = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the rounded tensor, in a step of training after its range has moved."""
        phase = self.quantization.phase
        if phase is Phase.FLOAT:
            return x
        if phase is Phase.OBSERVING and paddle.is_grad_enabled():
            self._observe(x)
        low, high = self.bounds()
        return x if low == high == 0.0 else fake_quantize(x, range_of(low, high))

    def bounds(self) -> tuple[float, float]:
        """The running range."""
        low, high = self.rounding_range.numpy().tolist()
        return low, high

    def _observe(self, x: Tensor) -> None:
        seen = np.array(low_and_high(x.detach().astype("float32")), np.float32)
        old: np.ndarray = self.rounding_range.numpy()
        momentum = np.float32(self.quantization.momentum)
        moved = momentum * old + (np.float32(1.0) - momentum) * seen if old.any() else seen
        self.rounding_range.set_value(moved.astype(np.float32))

    def deployed(self, factor: float = 1.0) -> "FixedRounding":
        """The rounding of a deployed program, of the tensor times ``factor``."""
        low, high = self.bounds()
        if not self.quantization.is_on or low == high == 0.0 or factor == 0.0:
            return FixedRounding(None)
        found = range_of(low, high)
        zero = found.zero_point if factor > 0 else LEVELS - found.zero_point
        return FixedRounding(Range(float(np.float32(found.scale * abs(factor))), zero))


class FixedRounding(nn.Layer):
    """Round to the 8 bits of a range; None: not at all."""

    def __init__(self, found: Range | None) -> None:
        super().__init__()
        self.found = found

    def forward(self, x: Tensor) -> Tensor:
        """Return the rounded tensor."""
        return x if self.found is None else fake_quantize(x, self.found)


class RoundedActivation(nn.Layer):
    """Roundings around an activation: behind it and, unless convolutions take it along, before it.

    Args:
        name: of `activations`.
    """

    def __init__(self, name: str, quantization: Quantization) -> None:
        super().__init__()
        self.is_fused = name in _FUSED_ACTIVATIONS
        self.before = None if self.is_fused else Rounding(quantization)
        self.after = Rounding(quantization)

    def forward(self, x: Tensor, activate: Activation) -> Tensor:
        """Return the activated tensor."""
        return self.after(activate(x if self.before is None else self.before(x)))

    def deployed(self, factor: float = 1.0) -> "FixedRoundings":
        """The roundings of a deployed program, whose result is this one's times ``factor``."""
        before = FixedRounding(None) if self.before is None else self.before.deployed()
        return FixedRoundings(before, self.after.deployed(factor))


class FixedRoundings(nn.Layer):
    """A `RoundedActivation` of a deployed program; by default it rounds nothing."""

    def __init__(
        self, before: FixedRounding | None = None, after: FixedRounding | None = None
    ) -> None:
        super().__init__()
        self.before = before or FixedRounding(None)
        self.after = after or FixedRounding(None)

    def forward(self, x: Tensor, activate: Activation) -> Tensor:
        """Return the activated tensor."""
        return self.after(activate(self.before(x)))


def is_on(quantization: Quantization | None) -> bool:
    """Whether a layer computes with rounded numbers; None: it was never quantised."""
    return quantization is not None and quantization.is_on


def rounded_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """A dense layer with its weights on int8, a scale for each output."""
    ones: np.ndarray = np.ones((1, 1), np.float32)
    return F.linear(x, fake_quantize_kernel(layer.weight, ones, output_axis=1), layer.bias)


def round_dense(kernel: Tensor) -> None:
    """Round the constant kernel [C_out, ...] of a deployed layer, in place."""
    kernel.set_value(round_kernel(kernel.numpy()))


def quantization_of(model: nn.Layer) -> Quantization | None:
    """What the layers of a quantised network share; None: the network is not quantised."""
    for layer in model.sublayers(include_self=True):
        if isinstance(layer, Rounding):
            return layer.quantization
    return None


def has_ranges(model: nn.Layer) -> bool:
    """Whether any tensor was observed."""
    return any(
        layer.bounds() != (0.0, 0.0)
        for layer in model.sublayers(include_self=True)
        if isinstance(layer, Rounding)
    )
