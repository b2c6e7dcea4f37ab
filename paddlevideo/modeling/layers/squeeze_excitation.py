"""Squeeze-excitation over space, time or both, with states (docs/movinet.md)."""

from typing import Literal

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.layers.activations import activation, as_one_operation
from paddlevideo.modeling.layers.deployment import Deployment, StepContext
from paddlevideo.modeling.layers.folding import dense_as_convolution
from paddlevideo.modeling.layers.initializers import he_normal
from paddlevideo.modeling.layers.positional_encoding import PositionalEncoding
from paddlevideo.modeling.layers.rounding import (
    FixedRounding,
    FixedRoundings,
    Quantization,
    RoundedActivation,
    Rounding,
    is_on,
    round_dense,
    rounded_linear,
)
from paddlevideo.modeling.layers.running_mean import RunningMean, spatial_mean
from paddlevideo.modeling.states import StateExchange, StateSpec

Squeeze = Literal["3d", "2d", "2plus3d"]

_SQUEEZE_RATIO = 0.25


class SqueezeExcitation(nn.Layer):
    """Gate the channels of [B, C, T, H, W] by what the frame, or all frames so far, show.

    Args:
        se_type: the axes of the pooled vector: ``3d`` time and space, ``2d`` space, ``2plus3d``
            both side by side.
        causal: pool over the frames so far instead of the whole clip.
        activation_name, gating_activation: of the dense layers in the middle and at the end.
        positions: add the frame's position to the pooled vector.
    """

    def __init__(
        self,
        channels: int,
        se_type: Squeeze,
        state_prefix: str,
        causal: bool = False,
        activation_name: str = "swish",
        gating_activation: str = "sigmoid",
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.se_type = se_type
        pooled = 2 * channels if se_type == "2plus3d" else channels
        hidden = make_divisible(_SQUEEZE_RATIO * pooled)
        self.over_time = (
            None if se_type == "2d" else RunningMean(channels, state_prefix, per_frame=causal)
        )
        self.positional_encoding = PositionalEncoding(pooled, state_prefix) if positions else None
        self.reduce = nn.Linear(pooled, hidden, weight_attr=he_normal(pooled))
        self.expand = nn.Linear(hidden, channels, weight_attr=he_normal(hidden))
        self.activation_name, self.gating_activation = activation_name, gating_activation
        self._activation, self._gate = activation(activation_name), activation(gating_activation)
        self.quantization: Quantization | None = None

    def quantize(self, quantization: Quantization) -> None:
        """Give the layer roundings: of both kernels, and of all that it computes but the means."""
        self.quantization = quantization
        self.rounded_pool = Rounding(quantization)
        self.rounded_hidden = RoundedActivation(self.activation_name, quantization)
        self.rounded_gate = RoundedActivation(self.gating_activation, quantization)
        self.rounded_product = Rounding(quantization)

    def state_specs(self) -> list[StateSpec]:
        """States of the running mean and of the positional encoding."""
        parts = [part for part in (self.over_time, self.positional_encoding) if part is not None]
        return [spec for part in parts for spec in part.state_specs()]

    def forward(self, x_BCTHW: Tensor, exchange: StateExchange | None) -> Tensor:
        """Return ``x_BCTHW`` times its gate."""
        pooled_BCT = self._pool(spatial_mean(x_BCTHW), exchange)
        if self.positional_encoding is not None:
            pooled_BCT = self.positional_encoding(pooled_BCT, exchange)
        gate_BCT = self._gates(pooled_BCT.transpose([0, 2, 1])).transpose([0, 2, 1])
        _, channels, frames, height, width = x_BCTHW.shape
        if gate_BCT.shape[2] == 1:  # one gate for the clip: a flat product has a faster gradient
            gated = x_BCTHW.reshape([-1, channels, frames * height * width]) * gate_BCT
        else:
            flat = x_BCTHW.reshape([-1, channels, frames, height * width])
            gated = flat * gate_BCT.unsqueeze(3)
        gated = self.rounded_product(gated) if is_on(self.quantization) else gated
        return gated.reshape([-1, channels, frames, height, width])

    def _gates(self, pooled_BTC: Tensor) -> Tensor:
        """[B, T, C], a gate for each channel."""
        if not is_on(self.quantization):
            return self._gate(self.expand(self._activation(self.reduce(pooled_BTC))))
        pooled_BTC = self.rounded_pool(pooled_BTC)
        hidden = rounded_linear(self.reduce, pooled_BTC)
        hidden = self.rounded_hidden(hidden, self._activation)
        return self.rounded_gate(rounded_linear(self.expand, hidden), self._gate)

    def _pool(self, frame_mean_BCT: Tensor, exchange: StateExchange | None) -> Tensor:
        """[B, C, T or 1], or for ``2plus3d`` [B, 2C, T] with the part over time first."""
        if self.over_time is None:
            return frame_mean_BCT
        over_time = self.over_time(frame_mean_BCT, exchange)
        if self.se_type == "3d":
            return over_time
        if over_time.shape[2] != frame_mean_BCT.shape[2]:
            # Not expanded: ONNX cannot expand an open batch.
            over_time = over_time.tile([1, 1, frame_mean_BCT.shape[2]])
        return paddle.concat([over_time, frame_mean_BCT], axis=1)

    def multiply_adds(self, num_frames: int) -> int:
        """Multiply-adds per clip: one gate only where all frames are pooled into one vector."""
        over_clip = self.over_time is not None and not self.over_time.per_frame
        num_gates = 1 if over_clip and self.se_type == "3d" else num_frames
        return int(num_gates * (self.reduce.weight.size + self.expand.weight.size))

    def deployed(self, deployment: Deployment) -> "FoldedSqueezeExcitation":
        """The layer of a deployed program; see there for the factor that it leaves out."""
        return FoldedSqueezeExcitation(self, deployment)


class FoldedSqueezeExcitation(nn.Layer):
    """Squeeze-excitation whose two dense layers are 1x1 convolutions.

    Attributes:
        gate_factor: what the result is still to be multiplied by.
    """

    def __init__(self, layer: SqueezeExcitation, deployment: Deployment) -> None:
        super().__init__()
        self.deployment, self.joins = deployment, layer.se_type == "2plus3d"
        mean, encoding = layer.over_time, layer.positional_encoding
        self.over_time = None if mean is None else mean.deployed(deployment)
        self.positions = None if encoding is None else encoding.deployed(deployment)
        self.reduce, self.reduce_bias = dense_as_convolution(layer.reduce)
        self.expand, self.expand_bias = dense_as_convolution(layer.expand)
        self._activation = deployment.activation(layer.activation_name)
        self._gate, self.gate_factor = as_one_operation(layer.gating_activation)
        self.rounded_pool, self.rounded_product = FixedRounding(None), FixedRounding(None)
        self.rounded_hidden, self.rounded_gate = FixedRoundings(), FixedRoundings()
        if is_on(layer.quantization):
            self._take_roundings(layer)

    def _take_roundings(self, layer: SqueezeExcitation) -> None:
        round_dense(self.reduce)
        round_dense(self.expand)
        due = 1.0 / self.gate_factor
        self.rounded_pool = layer.rounded_pool.deployed()
        self.rounded_hidden = layer.rounded_hidden.deployed()
        self.rounded_gate = layer.rounded_gate.deployed(due)
        self.rounded_product = layer.rounded_product.deployed(due)

    def forward(self, x_NCHW: Tensor, context: StepContext | None) -> Tensor:
        """Return ``x_NCHW`` times its gate."""
        pooled = self.deployment.by_frame(F.adaptive_avg_pool2d(x_NCHW, 1))
        if self.over_time is not None:
            mean = self.over_time(pooled, context)
            axis = self.deployment.channel_axis
            pooled = paddle.concat([mean, pooled], axis=axis) if self.joins else mean
        if self.positions is not None:
            pooled = self.positions(pooled, context)
        pooled = self.rounded_pool(self.deployment.as_maps(pooled))
        hidden = F.conv2d(pooled, self.reduce, self.reduce_bias)
        hidden = self.rounded_hidden(hidden, self._activation)
        gate = self.rounded_gate(F.conv2d(hidden, self.expand, self.expand_bias), self._gate)
        return self.rounded_product(x_NCHW * gate)


def make_divisible(value: float, divisor: int = 8) -> int:
    """Round to a multiple of ``divisor``, at least one of it and at most 10 % below ``value``."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
