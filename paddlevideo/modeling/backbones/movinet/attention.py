"""Squeeze-excitation over space, time or both, with states (spec sections 2.7 and 2.9)."""

import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.backbones.movinet.options import MoViNetOptions
from paddlevideo.modeling.backbones.movinet.pooling import RunningMean, spatial_mean
from paddlevideo.modeling.backbones.movinet.positions import angles, digits_of, rates_of_digits
from paddlevideo.modeling.backbones.movinet.specs import make_divisible
from paddlevideo.modeling.layers.activations import activation
from paddlevideo.modeling.layers.initializers import constant, he_normal
from paddlevideo.modeling.states import StateExchange, StateSpec

_SQUEEZE_RATIO = 0.25


class PositionalEncoding(nn.Layer):
    """Add ``scale * [sines, cosines]`` of the frame's position; ``scale`` starts at 0."""

    def __init__(self, channels: int, state_prefix: str) -> None:
        super().__init__()
        self.count_name = f"{state_prefix}_pos_enc_frame_count"
        self.scale = self.create_parameter([1], attr=constant(0.0))
        self.channels = channels
        digit_rates = paddle.to_tensor(rates_of_digits(channels)[:, None, :, None])
        self.register_buffer("digit_rates", digit_rates, persistable=False)

    def state_specs(self) -> list[StateSpec]:
        """The frame counter [B]."""
        return [StateSpec(self.count_name, (), "int32")]

    def forward(self, y_BCT: Tensor, exchange: StateExchange | None) -> Tensor:
        """Return ``y_BCT`` with the positions of its frames added."""
        num_frames = y_BCT.shape[2]
        position = paddle.arange(num_frames, dtype="int32").reshape([1, 1, -1])
        if exchange is not None:
            count = exchange.take(self.count_name)
            position = position + count.reshape([-1, 1, 1])
            exchange.put(self.count_name, count + paddle.full([1], num_frames, "int32"))
        angle = angles(digits_of(position.astype("float32")), paddle.unbind(self.digit_rates))
        encoding = paddle.concat([paddle.sin(angle), paddle.cos(angle)], axis=1)
        return y_BCT + self.scale * encoding.astype(y_BCT.dtype)


class SqueezeExcitation(nn.Layer):
    """Gate the channels of [B, C, T, H, W] by what the frame, or all frames so far, show."""

    def __init__(self, channels: int, options: MoViNetOptions, state_prefix: str) -> None:
        super().__init__()
        self.se_type = options.se_type
        pooled_channels = 2 * channels if self.se_type == "2plus3d" else channels
        hidden = make_divisible(_SQUEEZE_RATIO * pooled_channels)
        self.over_time = (
            RunningMean(channels, state_prefix, per_frame=options.causal)
            if self.se_type in ("3d", "2plus3d")
            else None
        )
        self.positional_encoding = (
            PositionalEncoding(pooled_channels, state_prefix)
            if options.use_positional_encoding
            else None
        )
        self.reduce = nn.Linear(pooled_channels, hidden, weight_attr=he_normal(pooled_channels))
        self.expand = nn.Linear(hidden, channels, weight_attr=he_normal(hidden))
        self._activation = activation(options.activation)
        self._gate = activation(options.gating_activation)

    def state_specs(self) -> list[StateSpec]:
        """States of the running mean and of the positional encoding."""
        parts = [part for part in (self.over_time, self.positional_encoding) if part is not None]
        return [spec for part in parts for spec in part.state_specs()]

    def forward(self, x_BCTHW: Tensor, exchange: StateExchange | None) -> Tensor:
        """Return ``x_BCTHW`` times its gate."""
        pooled_BCT = self._pool(spatial_mean(x_BCTHW), exchange)
        if self.positional_encoding is not None:
            pooled_BCT = self.positional_encoding(pooled_BCT, exchange)
        hidden = self._activation(self.reduce(pooled_BCT.transpose([0, 2, 1])))
        gate_BCT = self._gate(self.expand(hidden)).transpose([0, 2, 1])
        _, channels, frames, height, width = x_BCTHW.shape
        if gate_BCT.shape[2] == 1:  # one gate for the clip: a flat product has a faster gradient
            gated = x_BCTHW.reshape([-1, channels, frames * height * width]) * gate_BCT
        else:
            flat = x_BCTHW.reshape([-1, channels, frames, height * width])
            gated = flat * gate_BCT.unsqueeze(3)
        return gated.reshape([-1, channels, frames, height, width])

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
