"""The inverted bottleneck with rezero, squeeze-excitation and stochastic depth (spec 2.6)."""

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.backbones.movinet.attention import SqueezeExcitation
from paddlevideo.modeling.backbones.movinet.conv import (
    FeatureBlock,
    pointwise_block,
    same_padding,
)
from paddlevideo.modeling.backbones.movinet.options import MoViNetOptions
from paddlevideo.modeling.backbones.movinet.specs import LayerSpec
from paddlevideo.modeling.layers.initializers import constant
from paddlevideo.modeling.states import StateExchange, StateSpec

# PaddleVideo's A0 does not pad the strided layers of these blocks (reference, section 3.3).
_PADDLEVIDEO_UNPADDED_BLOCKS = (1, 2)


class Rezero(nn.Layer):
    """Multiply by one learnt scalar that starts at 0, so that a new block is the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = self.create_parameter([1], attr=constant(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x * scale``."""
        return x * self.scale


class StochasticDepth(nn.Layer):
    """Drop the branch of whole samples in training, scaled to keep its mean (spec 2.11)."""

    def __init__(self, drop_rate: float) -> None:
        super().__init__()
        self.keep_rate = 1.0 - drop_rate

    def forward(self, branch_BCTHW: Tensor) -> Tensor:
        """Return the branch, each sample kept with ``keep_rate`` or zero."""
        if not self.training or self.keep_rate == 1.0:
            return branch_BCTHW
        keep = paddle.floor(self.keep_rate + paddle.rand([branch_BCTHW.shape[0], 1, 1, 1, 1]))
        return branch_BCTHW * (keep / self.keep_rate).astype(branch_BCTHW.dtype)


class Shortcut(nn.Layer):
    """Average pool (only where the block downsamples), then a linear 1x1x1 block."""

    def __init__(
        self, spec: LayerSpec, options: MoViNetOptions, symmetric_padding: int | None
    ) -> None:
        super().__init__()
        self.stride = spec.stride
        self.symmetric_padding = symmetric_padding
        self.project = pointwise_block(spec.in_channels, spec.out_channels, options, None)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Return [B, C_out, T, H_out, W_out]."""
        if self.stride == 1:
            return self.project(x_BCTHW)
        _, channels, frames, height, width = x_BCTHW.shape
        if self.symmetric_padding is not None:
            padding = [self.symmetric_padding] * 4
        else:
            padding = [*same_padding(height, 3, 2), *same_padding(width, 3, 2)]
        pooled = F.avg_pool2d(
            x_BCTHW.reshape([-1, channels * frames, height, width]),
            kernel_size=3,
            stride=2,
            padding=padding,
            exclusive=True,
        )
        pooled = pooled.reshape([-1, channels, frames, pooled.shape[2], pooled.shape[3]])
        return self.project(pooled)


class Bottleneck(nn.Layer):
    """Expand, depthwise feature, squeeze-excite, project, rezero; plus the shortcut."""

    def __init__(self, spec: LayerSpec, options: MoViNetOptions, drop_rate: float) -> None:
        super().__init__()
        self.spec = spec
        prefix = f"state_{spec.name}"
        width = spec.expand_channels
        padding = _symmetric_padding(spec, options)
        self.expand = pointwise_block(spec.in_channels, width, options, options.activation)
        self.feature = FeatureBlock(
            width, spec.kernel, spec.stride, options, f"{prefix}_stream_buffer", padding
        )
        self.attention = (
            SqueezeExcitation(width, options, prefix) if options.se_type != "none" else None
        )
        self.project = pointwise_block(width, spec.out_channels, options, None)
        self.rezero = Rezero()
        self.stochastic_depth = StochasticDepth(drop_rate)
        needs_projection = spec.stride > 1 or spec.in_channels != spec.out_channels
        pool_padding = None if padding is None else min(padding, 1)
        self.shortcut = Shortcut(spec, options, pool_padding) if needs_projection else None

    def forward(self, x_BCTHW: Tensor, exchange: StateExchange | None = None) -> Tensor:
        """Return [B, C_out, T, H_out, W_out]."""
        branch = self.feature(self.expand(x_BCTHW), exchange)
        if self.attention is not None:
            branch = self.attention(branch, exchange)
        branch = self.stochastic_depth(self.rezero(self.project(branch)))
        shortcut = x_BCTHW if self.shortcut is None else self.shortcut(x_BCTHW)
        return branch + shortcut

    def state_specs(self, in_size: tuple[int, int], out_size: tuple[int, int]) -> list[StateSpec]:
        """States of one stream, for the (height, width) before and after this layer's stride."""
        specs = []
        if self.feature.buffer_frames:
            size = in_size if self.feature.temporal is None else out_size
            shape = (self.spec.expand_channels, self.feature.buffer_frames, *size)
            specs.append(StateSpec(self.feature.state_name, shape))
        if self.attention is not None:
            specs += self.attention.state_specs()
        return specs


def _symmetric_padding(spec: LayerSpec, options: MoViNetOptions) -> int | None:
    """PaddleVideo's fixed spatial padding of a layer, or None for SAME."""
    if options.padding == "same":
        return None
    unpadded = spec.stride > 1 and spec.block in _PADDLEVIDEO_UNPADDED_BLOCKS
    return 0 if unpadded else spec.kernel[1] // 2
