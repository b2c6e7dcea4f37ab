"""Convolution blocks on [B, C, T, H, W]: convolution, batch norm, activation (spec 2.1 - 2.3)."""

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.backbones.movinet.options import MoViNetOptions
from paddlevideo.modeling.backbones.movinet.specs import Kernel
from paddlevideo.modeling.layers.batch_norm import BatchNorm
from paddlevideo.modeling.layers.depthwise import Padding3D, depthwise_conv3d
from paddlevideo.modeling.layers.initializers import he_normal
from paddlevideo.modeling.states import StateExchange


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: zeros before and after an axis; the odd one goes after (spec 2.1)."""
    out_size = -(-size // stride)
    total = max((out_size - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Convolution(nn.Layer):
    """A bias-free 3-D convolution whose spatial padding follows the size of its input.

    Args:
        kernel: (frames, height, width).
        depthwise: one kernel per channel; ``in_channels`` must equal ``out_channels``.
        symmetric_padding: fixed spatial padding on both sides instead of SAME.
        time_padding: zero frames (before, after).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Kernel = (1, 1, 1),
        stride: int = 1,
        depthwise: bool = False,
        symmetric_padding: int | None = None,
        time_padding: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.depthwise = depthwise
        self.symmetric_padding = symmetric_padding
        self.time_padding = time_padding
        shape = [out_channels, 1 if depthwise else in_channels, *kernel]
        fan_in = shape[1] * kernel[0] * kernel[1] * kernel[2]
        self.weight = self.create_parameter(shape, attr=he_normal(fan_in))

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Convolve; T shrinks by what ``time_padding`` does not make up for."""
        padding = self._padding(x_BCTHW.shape[3], x_BCTHW.shape[4])
        if self.depthwise:
            return depthwise_conv3d(x_BCTHW, self.weight, self.stride, padding)
        return F.conv3d(
            x_BCTHW,
            self.weight,
            stride=[1, self.stride, self.stride],
            padding=[size for axis in padding for size in axis],
        )

    def _padding(self, height: int, width: int) -> Padding3D:
        if self.symmetric_padding is not None:
            fixed = (self.symmetric_padding, self.symmetric_padding)
            return self.time_padding, fixed, fixed
        return (
            self.time_padding,
            same_padding(height, self.kernel[1], self.stride),
            same_padding(width, self.kernel[2], self.stride),
        )


class ConvBlock(nn.Layer):
    """Convolution, batch norm and activation (None: linear)."""

    def __init__(
        self, convolution: Convolution, options: MoViNetOptions, activation_name: str | None
    ) -> None:
        super().__init__()
        self.conv = convolution
        self.bn = BatchNorm(
            convolution.weight.shape[0],
            options.bn_momentum,
            options.bn_epsilon,
            activation_name or "identity",
        )

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Return [B, C_out, T_out, H_out, W_out]."""
        return self.bn(self.conv(x_BCTHW))


def pointwise_block(
    in_channels: int, out_channels: int, options: MoViNetOptions, activation_name: str | None
) -> ConvBlock:
    """A 1x1x1 convolution block."""
    return ConvBlock(Convolution(in_channels, out_channels), options, activation_name)


class FeatureBlock(nn.Layer):
    """The depthwise convolution of a bottleneck: 3-D, or spatial then temporal; causal or not.

    A causal block keeps the last ``kernel[0] - 1`` frames of the input of the convolution that
    has the temporal extent as its stream buffer, zeros at the start (spec section 2.10).
    """

    def __init__(
        self,
        channels: int,
        kernel: Kernel,
        stride: int,
        options: MoViNetOptions,
        state_name: str,
        symmetric_padding: int | None = None,
    ) -> None:
        super().__init__()
        frames, *_ = kernel
        self.buffer_frames = frames - 1 if options.causal else 0
        self.state_name = state_name
        split = options.factorised and frames > 1
        half = frames // 2
        time_padding = (0, 0) if options.causal else (half, half)
        self.spatial = ConvBlock(
            Convolution(
                channels,
                channels,
                (1, kernel[1], kernel[2]) if split else kernel,
                stride,
                depthwise=True,
                symmetric_padding=symmetric_padding,
                time_padding=(0, 0) if split else time_padding,
            ),
            options,
            options.activation,
        )
        self.temporal = (
            ConvBlock(
                Convolution(
                    channels, channels, (frames, 1, 1), depthwise=True, time_padding=time_padding
                ),
                options,
                options.activation,
            )
            if split
            else None
        )

    def forward(self, x_BCTHW: Tensor, exchange: StateExchange | None) -> Tensor:
        """Return [B, C, T, H_out, W_out]; with an exchange, continue the stream it holds."""
        if self.temporal is None:
            return self.spatial(self._with_past(x_BCTHW, exchange))
        return self.temporal(self._with_past(self.spatial(x_BCTHW), exchange))

    def _with_past(self, x_BCTHW: Tensor, exchange: StateExchange | None) -> Tensor:
        """Put the buffered frames (zeros without an exchange) before the new ones."""
        if not self.buffer_frames:
            return x_BCTHW
        if exchange is None:
            first = paddle.slice(x_BCTHW, axes=[2], starts=[0], ends=[1])
            past = [paddle.zeros_like(first)] * self.buffer_frames  # F.pad is far slower (CPU)
            return paddle.concat([*past, x_BCTHW], axis=2)
        full = paddle.concat([exchange.take(self.state_name), x_BCTHW], axis=2)
        exchange.put(self.state_name, full[:, :, -self.buffer_frames :])
        return full
