"""A whole clip through a MoViNet as a network for deployment: the same answer, in less time.

Frames are rows of the batch, so every convolution is a 2-D one, which engines have fast kernels
for, and no tensor has more than four axes. A kernel with temporal extent is a 2-D convolution for
each of its frames, added up with the results moved along the clip; what leaves the clip is dropped
and zeros come in, as with zero frames around it. Batch norm and rezero are folded into weights.
"""

from typing import TYPE_CHECKING

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.backbones.movinet.attention import PositionalEncoding, SqueezeExcitation
from paddlevideo.modeling.backbones.movinet.bottleneck import Bottleneck
from paddlevideo.modeling.backbones.movinet.conv import ConvBlock, FeatureBlock
from paddlevideo.modeling.backbones.movinet.folded_layers import (
    FoldedConvolution,
    FoldedShortcut,
    Size,
    padding_of,
)
from paddlevideo.modeling.backbones.movinet.multiply_adds import output_size
from paddlevideo.modeling.backbones.movinet.positions import rates
from paddlevideo.modeling.layers.activations import Activation, activation, as_one_operation
from paddlevideo.modeling.layers.folding import affine_of, dense_as_convolution, fixed
from paddlevideo.utils.errors import ConfigError

if TYPE_CHECKING:
    from paddlevideo.modeling.backbones.movinet.backbone import MoViNet


class TemporalTaps(nn.Layer):
    """A depthwise convolution with temporal extent and its batch norm, on [B * T, C, H, W].

    Args:
        block: whose convolution it is.
        size: height and width of the input.
        num_frames: T.
    """

    def __init__(self, block: ConvBlock, size: Size, num_frames: int) -> None:
        super().__init__()
        scale, shift = affine_of(block.bn)
        kernel = block.conv.weight.numpy() * scale[:, None, None, None, None]
        before = block.conv.time_padding[0] or kernel.shape[2] - 1  # causal: the past comes first
        # The frame of the kernel that sees the frame itself, then those that see others.
        moves = sorted((frame - before for frame in range(kernel.shape[2])), key=abs)
        self.moves = [move for move in moves if abs(move) < num_frames]
        self.taps = nn.ParameterList([fixed(kernel[:, :, move + before]) for move in self.moves])
        self.bias = fixed(shift)
        self.stride, self.padding = block.conv.stride, padding_of(block.conv, size)
        self.num_frames = num_frames

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return [B * T, C, H_out, W_out]."""
        own, *others = self.taps
        result = self._convolve(x_NCHW, own, self.bias)
        for move, tap in zip(self.moves[1:], others, strict=True):
            result = result + self._moved(self._convolve(x_NCHW, tap, None), move)
        return result

    def _convolve(self, x_NCHW: Tensor, tap: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x_NCHW, tap, bias, self.stride, self.padding, groups=tap.shape[0])

    def _moved(self, x_NCHW: Tensor, move: int) -> Tensor:
        """The frame ``move`` later in the place of each; zeros where there is none."""
        _, channels, height, width = x_NCHW.shape
        x_BTS = x_NCHW.reshape([-1, self.num_frames, channels * height * width])
        lost = abs(move)
        kept_from = max(move, 0)
        kept = _frames(x_BTS, kept_from, kept_from + self.num_frames - lost)
        zeros = paddle.zeros_like(_frames(x_BTS, 0, lost))  # oneDNN pads another axis than asked
        moved = paddle.concat([kept, zeros] if move > 0 else [zeros, kept], axis=1)
        return moved.reshape([-1, channels, height, width])


def _frames(x_BTS: Tensor, first: int, last: int) -> Tensor:
    return paddle.slice(x_BTS, axes=[1], starts=[first], ends=[last])


class ClipFeature(nn.Layer):
    """The depthwise convolution of a bottleneck, with its activations."""

    def __init__(self, feature: FeatureBlock, size: Size, num_frames: int, act: str) -> None:
        super().__init__()
        self._activation = _without_factor(act)
        self.spatial: nn.Layer | None = None
        last = feature.spatial
        if feature.temporal is not None:
            self.spatial = FoldedConvolution(last.conv, last.bn, size)
            size, last = output_size(last.conv, size), feature.temporal
        self.last = (
            FoldedConvolution(last.conv, last.bn, size)
            if last.conv.kernel[0] == 1
            else TemporalTaps(last, size, num_frames)
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return [B * T, C, H_out, W_out]."""
        if self.spatial is not None:
            x_NCHW = self._activation(self.spatial(x_NCHW))
        return self._activation(self.last(x_NCHW))


class ClipAttention(nn.Layer):
    """Squeeze-excitation of all frames of a clip, without the gate's constant ``gate_factor``.

    The mean over time, of the whole clip or up to each frame, is a product with a matrix. Every
    frame has a gate of its own even where all are equal: engines are slow where they must repeat it
    along an axis in the middle.
    """

    def __init__(self, attention: SqueezeExcitation, num_frames: int, act: str, gate: str) -> None:
        super().__init__()
        self.se_type, self.num_frames = attention.se_type, num_frames
        self.over_time: Tensor | None = None
        if attention.over_time is not None:
            self.over_time = fixed(_weights_over_time(num_frames, attention.over_time.per_frame))
        self.reduce, self.reduce_bias = dense_as_convolution(attention.reduce)
        self.expand, self.expand_bias = dense_as_convolution(attention.expand)
        self._activation = _without_factor(act)
        self._gate, self.gate_factor = as_one_operation(gate)
        encoding = attention.positional_encoding
        self.positions = None if encoding is None else fixed(_positions(encoding, num_frames))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return ``x_NCHW`` times its gate."""
        channels = x_NCHW.shape[1]
        pooled_BTC = F.adaptive_avg_pool2d(x_NCHW, 1).reshape([-1, self.num_frames, channels])
        if self.over_time is not None:
            over_time = paddle.matmul(self.over_time, pooled_BTC)
            both = self.se_type == "2plus3d"
            pooled_BTC = paddle.concat([over_time, pooled_BTC], axis=2) if both else over_time
        if self.positions is not None:
            pooled_BTC = pooled_BTC + self.positions
        pooled = pooled_BTC.reshape([-1, pooled_BTC.shape[2], 1, 1])
        hidden = self._activation(F.conv2d(pooled, self.reduce, self.reduce_bias))
        return x_NCHW * self._gate(F.conv2d(hidden, self.expand, self.expand_bias))


class ClipBottleneck(nn.Layer):
    """One bottleneck on all frames; rezero is part of the projection."""

    def __init__(self, block: Bottleneck, size: Size, num_frames: int, act: str, gate: str) -> None:
        super().__init__()
        self.out_size = output_size(block.feature.spatial.conv, size)
        self.expand = FoldedConvolution(block.expand.conv, block.expand.bn, size)
        self.feature = ClipFeature(block.feature, size, num_frames, act)
        self.attention = (
            None
            if block.attention is None
            else ClipAttention(block.attention, num_frames, act, gate)
        )
        self.project = FoldedConvolution(
            block.project.conv,
            block.project.bn,
            self.out_size,
            factor=float(block.rezero.scale.numpy()[0]),
            input_factor=1.0 if self.attention is None else self.attention.gate_factor,
        )
        self.shortcut = None if block.shortcut is None else FoldedShortcut(block.shortcut, size)
        self._activation = _without_factor(act)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return [B * T, C_out, H_out, W_out]."""
        branch = self.feature(self._activation(self.expand(x_NCHW)))
        if self.attention is not None:
            branch = self.attention(branch)
        shortcut = x_NCHW if self.shortcut is None else self.shortcut(x_NCHW)
        return self.project(branch) + shortcut


class ClipNetwork(nn.Layer):
    """Frames [B * T, 3, H, W] in [0, 1] of clips to the mean over each clip, [B, C, 1, 1].

    Args:
        backbone: with its weights; they are copied.
        num_frames, height, width: of the clips.

    Raises:
        ConfigError: the backbone does not average over time.
    """

    def __init__(self, backbone: "MoViNet", num_frames: int, height: int, width: int) -> None:
        super().__init__()
        options = backbone.options
        if options.average_pooling_type != "3d":
            raise ConfigError("a folded clip needs the mean over time: average_pooling_type: 3d")
        act, gate = options.activation, options.gating_activation
        self._activation = _without_factor(act)
        self.num_frames, self.out_channels = num_frames, backbone.out_channels
        size = (height, width)
        self.stem = FoldedConvolution(backbone.stem.conv, backbone.stem.bn, size)
        size = output_size(backbone.stem.conv, size)
        self.blocks = nn.LayerList()
        for block in backbone.blocks.values():
            folded = ClipBottleneck(block, size, num_frames, act, gate)
            self.blocks.append(folded)
            size = folded.out_size
        self.project = FoldedConvolution(backbone.project.conv, backbone.project.bn, size)
        self.over_time = fixed(_weights_over_time(num_frames, per_frame=False)[:1])

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return [B, C, 1, 1]."""
        x = self._activation(self.stem(x_NCHW))
        for block in self.blocks:
            x = block(x)
        pooled = F.adaptive_avg_pool2d(self._activation(self.project(x)), 1)
        pooled_BTC = pooled.reshape([-1, self.num_frames, self.out_channels])
        mean = paddle.matmul(self.over_time, pooled_BTC)
        return mean.reshape([-1, self.out_channels, 1, 1])


def _weights_over_time(num_frames: int, per_frame: bool) -> np.ndarray:
    """[T, T]: row t has the weights of the frames in the mean up to frame t, or of the clip."""
    if not per_frame:
        return np.full((num_frames, num_frames), 1.0 / num_frames)
    return np.tri(num_frames) / np.arange(1, num_frames + 1)[:, None]


def _positions(encoding: PositionalEncoding, num_frames: int) -> np.ndarray:
    """The encoding of a clip's frames, [1, T, D]."""
    angle = np.arange(num_frames)[:, None] * rates(encoding.channels)
    return encoding.scale.numpy() * np.concatenate([np.sin(angle), np.cos(angle)], axis=1)[None]


def _without_factor(act: str) -> Activation:
    operation, factor = as_one_operation(act)
    return operation if factor == 1.0 else activation(act)
