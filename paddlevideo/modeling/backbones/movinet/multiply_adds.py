"""Multiply-adds of a MoViNet, from the shapes of the layers it was built with.

Counted: convolutions and dense layers. Not counted, as in the published numbers: batch norm,
activations, pooling, the product with a gate, sums and scalars.
"""

from paddlevideo.modeling.backbones.movinet.attention import SqueezeExcitation
from paddlevideo.modeling.backbones.movinet.bottleneck import Bottleneck
from paddlevideo.modeling.backbones.movinet.conv import Convolution, same_padding

Size = tuple[int, int]


def output_size(convolution: Convolution, size: Size) -> Size:
    """Height and width that a convolution makes of ``size``."""

    def along(axis: int) -> int:
        kernel, fixed = convolution.kernel[axis + 1], convolution.symmetric_padding
        before, after = (
            same_padding(size[axis], kernel, convolution.stride)
            if fixed is None
            else (fixed, fixed)
        )
        return (size[axis] + before + after - kernel) // convolution.stride + 1

    return along(0), along(1)


def convolution_cost(convolution: Convolution, size: Size) -> int:
    """Multiply-adds per frame for an input of ``size``: every weight once per output position."""
    height, width = output_size(convolution, size)
    return height * width * convolution.weight.size


def attention_cost(attention: SqueezeExcitation, num_frames: int) -> int:
    """Multiply-adds per clip: one gate for all frames only where all are pooled into one vector."""
    over_clip = attention.over_time is not None and not attention.over_time.per_frame
    num_gates = 1 if over_clip and attention.se_type == "3d" else num_frames
    return num_gates * (attention.reduce.weight.size + attention.expand.weight.size)


def bottleneck_cost(block: Bottleneck, num_frames: int, size: Size) -> tuple[int, Size]:
    """Multiply-adds per clip of ``num_frames`` frames of ``size``, and the size that comes out."""
    out_size = output_size(block.feature.spatial.conv, size)
    per_frame = convolution_cost(block.expand.conv, size)
    per_frame += convolution_cost(block.feature.spatial.conv, size)
    if block.feature.temporal is not None:
        per_frame += convolution_cost(block.feature.temporal.conv, out_size)
    per_frame += convolution_cost(block.project.conv, out_size)
    if block.shortcut is not None:
        per_frame += convolution_cost(block.shortcut.project.conv, out_size)
    gates = 0 if block.attention is None else attention_cost(block.attention, num_frames)
    return num_frames * per_frame + gates, out_size
