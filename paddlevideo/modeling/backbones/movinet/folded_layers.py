"""Layers of a MoViNet on single frames [N, C, H, W], folded for exported programs of one size."""

import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.backbones.movinet.bottleneck import Shortcut
from paddlevideo.modeling.backbones.movinet.conv import Convolution, same_padding
from paddlevideo.modeling.layers.batch_norm import BatchNorm
from paddlevideo.modeling.layers.folding import affine_of, fixed

Size = tuple[int, int]


def padding_of(convolution: Convolution, size: Size) -> list[int]:
    """Zeros above, below, left and right of a frame of ``size``."""
    if convolution.symmetric_padding is not None:
        return [convolution.symmetric_padding] * 4
    rows, columns = (
        same_padding(length, kernel, convolution.stride)
        for length, kernel in zip(size, convolution.kernel[1:], strict=True)
    )
    return [*rows, *columns]


class FoldedConvolution(nn.Layer):
    """A 2-D convolution with fixed padding, its batch norm and a factor folded in.

    Args:
        convolution, norm: of one frame (kernels without temporal extent).
        size: height and width of the input; they fix the padding.
        factor, input_factor: of the whole result, and of the input.
    """

    def __init__(
        self,
        convolution: Convolution,
        norm: BatchNorm,
        size: Size,
        factor: float = 1.0,
        input_factor: float = 1.0,
    ) -> None:
        super().__init__()
        scale, shift = affine_of(norm)
        scale_of_kernel = (scale * (factor * input_factor))[:, None, None, None]
        weight = convolution.weight.numpy()[:, :, 0] * scale_of_kernel
        self.weight, self.bias = fixed(weight), fixed(shift * factor)
        self.stride = convolution.stride
        self.groups = weight.shape[0] if convolution.depthwise else 1
        self.padding = padding_of(convolution, size)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return [B, C_out, H_out, W_out]."""
        return F.conv2d(
            x_BCHW, self.weight, self.bias, self.stride, self.padding, groups=self.groups
        )


class FoldedShortcut(nn.Layer):
    """The pooled and projected shortcut."""

    def __init__(self, shortcut: Shortcut, size: Size) -> None:
        super().__init__()
        self.stride = shortcut.stride
        rows, columns = same_padding(size[0], 3, 2), same_padding(size[1], 3, 2)
        fixed_padding = shortcut.symmetric_padding
        self.padding = [*rows, *columns] if fixed_padding is None else [fixed_padding] * 4
        self.project = FoldedConvolution(shortcut.project.conv, shortcut.project.bn, size)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return [B, C_out, H_out, W_out]."""
        if self.stride > 1:
            x_BCHW = F.avg_pool2d(x_BCHW, 3, 2, self.padding, exclusive=True)
        return self.project(x_BCHW)
