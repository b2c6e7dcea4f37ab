"""Convolution blocks on [B, C, T, H, W]: convolution, batch norm, activation; their folded forms.

Padding and batch norm: docs/movinet.md.
"""

from collections.abc import Sequence

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.layers.batch_norm import BatchNorm
from paddlevideo.modeling.layers.deployment import Deployment, StepContext
from paddlevideo.modeling.layers.depthwise import Padding3D, depthwise_conv3d
from paddlevideo.modeling.layers.fake_quantization import fake_quantize_kernel, round_kernel
from paddlevideo.modeling.layers.folding import affine_of, fixed, fold_scaling
from paddlevideo.modeling.layers.initializers import he_normal
from paddlevideo.modeling.layers.input_scaling import InputScaling
from paddlevideo.modeling.layers.padding import Size, same_padding
from paddlevideo.modeling.layers.rounding import (
    FixedRounding,
    FixedRoundings,
    Quantization,
    RoundedActivation,
    is_on,
)
from paddlevideo.utils.eight_bits import Range

Kernel = tuple[int, int, int]


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

    def forward(self, x_BCTHW: Tensor, weight: Tensor | None = None) -> Tensor:
        """Convolve; T shrinks by what ``time_padding`` does not make up for.

        Args:
            weight: in place of the layer's own.
        """
        weight = self.weight if weight is None else weight
        padding = self.padding((x_BCTHW.shape[3], x_BCTHW.shape[4]))
        if self.depthwise:
            return depthwise_conv3d(x_BCTHW, weight, self.stride, padding)
        return F.conv3d(
            x_BCTHW,
            weight,
            stride=[1, self.stride, self.stride],
            padding=[size for axis in padding for size in axis],
        )

    def padding(self, size: Size) -> Padding3D:
        """Zeros before and after time, height and width, for an input of ``size``."""
        if self.symmetric_padding is not None:
            fixed_padding = (self.symmetric_padding, self.symmetric_padding)
            return self.time_padding, fixed_padding, fixed_padding
        height, width = size
        return (
            self.time_padding,
            same_padding(height, self.kernel[1], self.stride),
            same_padding(width, self.kernel[2], self.stride),
        )

    def out_size(self, size: Size) -> Size:
        """Height and width that it makes of ``size``."""
        _, rows, columns = self.padding(size)
        height, width = (
            (length + sum(zeros) - kernel) // self.stride + 1
            for length, zeros, kernel in zip(size, (rows, columns), self.kernel[1:], strict=True)
        )
        return height, width

    def multiply_adds(self, size: Size) -> int:
        """Multiply-adds per frame of ``size``: every weight once per output position."""
        height, width = self.out_size(size)
        return int(height * width * self.weight.size)


class ConvBlock(nn.Layer):
    """Convolution, batch norm and activation (None: linear)."""

    def __init__(
        self,
        convolution: Convolution,
        activation_name: str | None,
        bn_momentum: float = 0.99,
        bn_epsilon: float = 1e-3,
    ) -> None:
        super().__init__()
        self.conv = convolution
        self.bn = BatchNorm(
            convolution.weight.shape[0], bn_momentum, bn_epsilon, activation_name or "identity"
        )
        self.quantization: Quantization | None = None
        self.pixel_factor: np.ndarray | None = None

    def quantize(self, quantization: Quantization, scaling: InputScaling | None = None) -> None:
        """Give the block roundings: of its kernel, and of what it gives.

        Args:
            scaling: of a first block the scaling of the pixels' values, which its deployed kernel
                takes in.
        """
        self.quantization = quantization
        self.rounding = RoundedActivation(self.bn.activation_name, quantization)
        if scaling is not None:
            self.pixel_factor = scaling.factor.numpy().reshape(1, 3, 1, 1, 1)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Return [B, C_out, T_out, H_out, W_out]."""
        if not is_on(self.quantization):
            return self.bn(self.conv(x_BCTHW))
        # Batch norm is part of the kernel that is rounded, so its statistics stay as they are.
        self.bn.eval()
        scale, _ = affine_of(self.bn)
        factor = self.kernel_factor(scale)
        y_BCTHW = self.conv(x_BCTHW, fake_quantize_kernel(self.conv.weight, factor))
        if self.rounding.is_fused:
            return self.rounding.after(self.bn(y_BCTHW))
        return self.rounding(self.bn.affine(y_BCTHW), self.bn.activate)

    def kernel_factor(self, scale_C: np.ndarray) -> np.ndarray:
        """What the kernel is multiplied by where it is rounded: batch norm, the pixels' scaling."""
        factor: np.ndarray = scale_C[:, None, None, None, None]
        return factor if self.pixel_factor is None else factor * self.pixel_factor

    def deployed(
        self, deployment: Deployment, size: Size, factor: float = 1.0, input_factor: float = 1.0
    ) -> "FoldedConvolution":
        """The block without temporal extent, for frames of ``size``.

        Args:
            factor, input_factor: of the whole result, and of the input; they are folded in.
        """
        return FoldedConvolution(self, deployment, size, [0], factor, input_factor)

    def deployed_over_time(
        self, deployment: Deployment, size: Size, state_name: str
    ) -> "FoldedConvolution":
        """The depthwise block with temporal extent, if it has one."""
        if self.conv.kernel[0] == 1:
            return self.deployed(deployment, size)
        if deployment.num_frames is None:
            return _StepConvolution(self, deployment, size, state_name)
        return _ClipConvolution(self, deployment, size, deployment.num_frames)


class FoldedConvolution(nn.Layer):
    """A 2-D convolution with fixed padding, batch norm and factors folded in, and its activation.

    Args:
        block: whose weights are copied.
        frames: the frames of the kernel that it has, one 2-D kernel for each.
    """

    def __init__(
        self,
        block: ConvBlock,
        deployment: Deployment,
        size: Size,
        frames: Sequence[int],
        factor: float = 1.0,
        input_factor: float = 1.0,
    ) -> None:
        super().__init__()
        scale, shift = affine_of(block.bn)
        scale = scale * (factor * input_factor)
        kernel = _deployed_kernel(block, scale)
        self.taps = nn.ParameterList([fixed(kernel[:, :, frame]) for frame in frames])
        self.bias = fixed(shift * factor)
        self.stride = block.conv.stride
        self.groups = kernel.shape[0] if block.conv.depthwise else 1
        _, rows, columns = block.conv.padding(size)
        self.padding = [*rows, *columns]
        self.activation = deployment.activation(block.bn.activation_name)
        self.is_rounded = is_on(block.quantization)
        self.rounding = block.rounding.deployed(factor) if self.is_rounded else FixedRoundings()

    def forward(self, x_NCHW: Tensor, context: StepContext | None = None) -> Tensor:
        """Return [N, C_out, H_out, W_out]."""
        return self._activated(self._convolve(x_NCHW, self.taps[0], self.bias))

    def _activated(self, x_NCHW: Tensor) -> Tensor:
        return self.rounding(x_NCHW, self.activation)

    def _convolve(self, x_NCHW: Tensor, tap: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x_NCHW, tap, bias, self.stride, self.padding, groups=self.groups)


def _deployed_kernel(block: ConvBlock, scale_C: np.ndarray) -> np.ndarray:
    """The kernel times a scale for each output channel, rounded where the block is."""
    scale: np.ndarray = scale_C[:, None, None, None, None]
    kernel: np.ndarray = block.conv.weight.numpy() * scale
    if not is_on(block.quantization):
        return kernel
    factor = np.float32(1.0) if block.pixel_factor is None else block.pixel_factor
    return round_kernel(kernel * factor) / factor


class FoldedStem(nn.Layer):
    """A first convolution that takes pixels [N, 3, H, W] (uint8 or float32) as they are.

    Args:
        scaling: of the pixels' values; it is folded into ``convolution``.
    """

    def __init__(self, scaling: InputScaling, convolution: FoldedConvolution) -> None:
        super().__init__()
        self.convolution = convolution
        self.offset = fold_scaling(scaling, convolution.taps[0])
        # Pixels are whole numbers on 8 bits already, unless something was taken from them.
        is_whole = convolution.is_rounded and self.offset is None and not scaling.is_identity
        self.rounding = FixedRounding(Range(1.0, 0) if is_whole else None)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return [N, C_out, H_out, W_out]."""
        x_NCHW = x_NCHW if x_NCHW.dtype == paddle.float32 else x_NCHW.astype("float32")
        x_NCHW = self.rounding(x_NCHW)
        return self.convolution(x_NCHW if self.offset is None else x_NCHW + self.offset)


class _StepConvolution(FoldedConvolution):
    """A temporal kernel over this frame and the queue of past ones: one 2-D kernel for each."""

    def __init__(
        self, block: ConvBlock, deployment: Deployment, size: Size, state_name: str
    ) -> None:
        newest = block.conv.kernel[0] - 1
        super().__init__(block, deployment, size, [newest, *range(newest)])
        self.state_name = state_name

    def forward(self, x_NCHW: Tensor, context: StepContext | None = None) -> Tensor:
        assert context is not None
        newest, *past = self.taps
        result = self._convolve(x_NCHW, newest, self.bias)
        for tap, frame in zip(past, context.old[self.state_name], strict=True):
            result = result + self._convolve(frame, tap, None)
        context.new[self.state_name] = x_NCHW
        return self._activated(result)


class _ClipConvolution(FoldedConvolution):
    """A temporal kernel on [B * T, C, H, W]: a 2-D kernel for each of its frames, added up.

    The results are moved along the clip; what leaves it is dropped and zeros come in, as with zero
    frames around it.
    """

    def __init__(
        self, block: ConvBlock, deployment: Deployment, size: Size, num_frames: int
    ) -> None:
        length = block.conv.kernel[0]
        before = block.conv.time_padding[0] or length - 1  # causal: the past comes first
        # The frame of the kernel that sees the frame itself, then those that see others.
        moves = sorted((frame - before for frame in range(length)), key=abs)
        moves = [move for move in moves if abs(move) < num_frames]
        super().__init__(block, deployment, size, [move + before for move in moves])
        self.moves, self.num_frames = moves, num_frames

    def forward(self, x_NCHW: Tensor, context: StepContext | None = None) -> Tensor:
        own, *others = self.taps
        result = self._convolve(x_NCHW, own, self.bias)
        for move, tap in zip(self.moves[1:], others, strict=True):
            result = result + self._moved(self._convolve(x_NCHW, tap, None), move)
        return self._activated(result)

    def _moved(self, x_NCHW: Tensor, move: int) -> Tensor:
        """The frame ``move`` later instead of each; zeros where there is none."""
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
