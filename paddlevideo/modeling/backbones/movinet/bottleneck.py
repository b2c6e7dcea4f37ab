"""The inverted bottleneck of a MoViNet and its parts, with their deployed forms (docs/movinet.md).

Each part says by itself what it makes of a height and width, what states it keeps, how many
multiply-adds it costs and which form it has in a deployed program; `Bottleneck` adds them up.
"""

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.backbones.movinet.options import MoViNetOptions
from paddlevideo.modeling.backbones.movinet.specs import LayerSpec
from paddlevideo.modeling.layers.convolution import Convolution, FoldedConvolution
from paddlevideo.modeling.layers.deployment import Deployment, StepContext
from paddlevideo.modeling.layers.padding import Size, same_padding
from paddlevideo.modeling.layers.residual import Rezero, StochasticDepth
from paddlevideo.modeling.layers.rounding import FixedRounding, Quantization, Rounding, is_on
from paddlevideo.modeling.layers.squeeze_excitation import SqueezeExcitation
from paddlevideo.modeling.states import StateExchange, StateSpec

# PaddleVideo's A0 does not pad the strided layers of these blocks.
_PADDLEVIDEO_UNPADDED_BLOCKS = (1, 2)


class FeatureBlock(nn.Layer):
    """The depthwise convolution of a bottleneck: 3-D, or spatial then temporal; causal or not.

    A causal block keeps the last ``kernel[0] - 1`` frames of the input of the convolution that
    has the temporal extent as its stream buffer, zeros at the start.
    """

    def __init__(
        self, spec: LayerSpec, options: MoViNetOptions, symmetric_padding: int | None = None
    ) -> None:
        super().__init__()
        channels, (frames, *size) = spec.expand_channels, spec.kernel
        self.channels = channels
        self.buffer_frames = frames - 1 if options.causal else 0
        self.state_name = f"state_{spec.name}_stream_buffer"
        split = options.factorised and frames > 1
        time_padding = (0, 0) if options.causal else (frames // 2, frames // 2)
        self.spatial = options.block(
            Convolution(
                channels,
                channels,
                (1 if split else frames, size[0], size[1]),
                spec.stride,
                depthwise=True,
                symmetric_padding=symmetric_padding,
                time_padding=(0, 0) if split else time_padding,
            )
        )
        self.temporal = (
            options.block(
                Convolution(
                    channels, channels, (frames, 1, 1), depthwise=True, time_padding=time_padding
                )
            )
            if split
            else None
        )

    def quantize(self, quantization: Quantization) -> None:
        """Give the convolutions roundings; the stream buffer holds frames that are rounded."""
        self.spatial.quantize(quantization)
        if self.temporal is not None:
            self.temporal.quantize(quantization)

    def out_size(self, size: Size) -> Size:
        """Height and width that the block makes of ``size``."""
        return self.spatial.conv.out_size(size)

    def multiply_adds(self, size: Size) -> int:
        """Multiply-adds per frame of ``size``."""
        spatial = self.spatial.conv.multiply_adds(size)
        if self.temporal is None:
            return spatial
        return spatial + self.temporal.conv.multiply_adds(self.out_size(size))

    def state_specs(self, size: Size) -> list[StateSpec]:
        """The stream buffer [C, T, H, W], if there is one, for frames of ``size``."""
        if not self.buffer_frames:
            return []
        seen = size if self.temporal is None else self.out_size(size)
        return [StateSpec(self.state_name, (self.channels, self.buffer_frames, *seen))]

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

    def deployed(self, deployment: Deployment, size: Size) -> list[FoldedConvolution]:
        """The convolutions of a deployed program, one after the other."""
        if self.temporal is None:
            return [self.spatial.deployed_over_time(deployment, size, self.state_name)]
        return [
            self.spatial.deployed(deployment, size),
            self.temporal.deployed_over_time(deployment, self.out_size(size), self.state_name),
        ]


class Shortcut(nn.Layer):
    """Average pool (only where the block downsamples), then a linear 1x1x1 block."""

    def __init__(
        self, spec: LayerSpec, options: MoViNetOptions, symmetric_padding: int | None
    ) -> None:
        super().__init__()
        self.stride = spec.stride
        self.symmetric_padding = symmetric_padding
        self.project = options.block(Convolution(spec.in_channels, spec.out_channels), linear=True)
        self.quantization: Quantization | None = None

    def quantize(self, quantization: Quantization) -> None:
        """Give the means and the convolution roundings."""
        self.quantization = quantization
        self.project.quantize(quantization)
        if self.stride > 1:
            self.rounded_pool = Rounding(quantization)

    def padding(self, size: Size) -> list[int]:
        """Rows above and below, columns left and right, that the pool leaves out of its means."""
        if self.symmetric_padding is not None:
            return [self.symmetric_padding] * 4
        return [*same_padding(size[0], 3, 2), *same_padding(size[1], 3, 2)]

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Return [B, C_out, T, H_out, W_out]."""
        if self.stride == 1:
            return self.project(x_BCTHW)
        _, channels, frames, height, width = x_BCTHW.shape
        pooled = pool(
            x_BCTHW.reshape([-1, channels * frames, height, width]), self.padding((height, width))
        )
        pooled = self.rounded_pool(pooled) if is_on(self.quantization) else pooled
        pooled = pooled.reshape([-1, channels, frames, pooled.shape[2], pooled.shape[3]])
        return self.project(pooled)

    def deployed(self, deployment: Deployment, size: Size) -> nn.Layer:
        """The shortcut of a deployed program."""
        project = self.project.deployed(deployment, size)
        if self.stride == 1:
            return project
        is_rounded = is_on(self.quantization)
        rounding = self.rounded_pool.deployed() if is_rounded else FixedRounding(None)
        return _FoldedShortcut(self.padding(size), rounding, project)


class _FoldedShortcut(nn.Layer):
    def __init__(self, padding: list[int], rounding: FixedRounding, project: nn.Layer) -> None:
        super().__init__()
        self.padding, self.rounding, self.project = padding, rounding, project

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.project(self.rounding(pool(x_NCHW, self.padding)))


def pool(x_NCHW: Tensor, padding: list[int]) -> Tensor:
    """Means over the 3x3 pixels that exist, with stride 2."""
    return F.avg_pool2d(x_NCHW, kernel_size=3, stride=2, padding=padding, exclusive=True)


class Bottleneck(nn.Layer):
    """Expand, depthwise feature, squeeze-excite, project, rezero; plus the shortcut."""

    def __init__(self, spec: LayerSpec, options: MoViNetOptions, drop_rate: float) -> None:
        super().__init__()
        self.spec = spec
        width = spec.expand_channels
        padding = _symmetric_padding(spec, options)
        self.expand = options.block(Convolution(spec.in_channels, width))
        self.feature = FeatureBlock(spec, options, padding)
        self.attention = (
            None
            if options.se_type == "none"
            else SqueezeExcitation(
                width,
                options.se_type,
                f"state_{spec.name}",
                options.causal,
                options.activation,
                options.gating_activation,
                options.use_positional_encoding,
            )
        )
        self.project = options.block(Convolution(width, spec.out_channels), linear=True)
        self.rezero = Rezero()
        self.stochastic_depth = StochasticDepth(drop_rate)
        needs_projection = spec.stride > 1 or spec.in_channels != spec.out_channels
        pool_padding = None if padding is None else min(padding, 1)
        self.shortcut = Shortcut(spec, options, pool_padding) if needs_projection else None
        self.quantization: Quantization | None = None

    def quantize(self, quantization: Quantization) -> None:
        """Give all parts roundings, and the sum that the layer gives."""
        self.quantization = quantization
        self.rounded_sum = Rounding(quantization)
        for part in (self.expand, self.feature, self.attention, self.project, self.shortcut):
            if part is not None:
                part.quantize(quantization)

    def forward(self, x_BCTHW: Tensor, exchange: StateExchange | None = None) -> Tensor:
        """Return [B, C_out, T, H_out, W_out]."""
        branch = self.feature(self.expand(x_BCTHW), exchange)
        if self.attention is not None:
            branch = self.attention(branch, exchange)
        branch = self.stochastic_depth(self.rezero(self.project(branch)))
        shortcut = x_BCTHW if self.shortcut is None else self.shortcut(x_BCTHW)
        result = branch + shortcut
        return self.rounded_sum(result) if is_on(self.quantization) else result

    def out_size(self, size: Size) -> Size:
        """Height and width that the layer makes of ``size``."""
        return self.feature.out_size(size)

    def state_specs(self, size: Size) -> list[StateSpec]:
        """States of one stream of frames of ``size``."""
        attention = [] if self.attention is None else self.attention.state_specs()
        return self.feature.state_specs(size) + attention

    def multiply_adds(self, num_frames: int, size: Size) -> int:
        """Multiply-adds per clip of frames of ``size``."""
        out_size = self.out_size(size)
        per_frame = self.expand.conv.multiply_adds(size) + self.feature.multiply_adds(size)
        per_frame += self.project.conv.multiply_adds(out_size)
        if self.shortcut is not None:
            per_frame += self.shortcut.project.conv.multiply_adds(out_size)
        gates = 0 if self.attention is None else self.attention.multiply_adds(num_frames)
        return num_frames * per_frame + gates

    def deployed(self, deployment: Deployment, size: Size) -> "FoldedBottleneck":
        """The layer of a deployed program; rezero is part of the projection."""
        return FoldedBottleneck(self, deployment, size)


class FoldedBottleneck(nn.Layer):
    """A bottleneck on frames [N, C, H, W]."""

    def __init__(self, layer: Bottleneck, deployment: Deployment, size: Size) -> None:
        super().__init__()
        attention = None if layer.attention is None else layer.attention.deployed(deployment)
        branch = [
            layer.expand.deployed(deployment, size),
            *layer.feature.deployed(deployment, size),
            *([] if attention is None else [attention]),
            layer.project.deployed(
                deployment,
                layer.out_size(size),
                factor=float(layer.rezero.scale.numpy()[0]),
                input_factor=1.0 if attention is None else attention.gate_factor,
            ),
        ]
        self.branch = nn.LayerList(branch)
        shortcut = layer.shortcut
        self.shortcut = None if shortcut is None else shortcut.deployed(deployment, size)
        is_rounded = is_on(layer.quantization)
        self.rounded_sum = layer.rounded_sum.deployed() if is_rounded else FixedRounding(None)

    def forward(self, x_NCHW: Tensor, context: StepContext | None) -> Tensor:
        """Return [N, C_out, H_out, W_out]."""
        *inner, project = self.branch
        branch = x_NCHW
        for part in inner:
            branch = part(branch, context)
        shortcut = x_NCHW if self.shortcut is None else self.shortcut(x_NCHW)
        return self.rounded_sum(project(branch) + shortcut)


def _symmetric_padding(spec: LayerSpec, options: MoViNetOptions) -> int | None:
    """PaddleVideo's fixed spatial padding of a layer, or None for SAME."""
    if options.padding == "same":
        return None
    unpadded = spec.stride > 1 and spec.block in _PADDLEVIDEO_UNPADDED_BLOCKS
    return 0 if unpadded else spec.kernel[1] // 2
