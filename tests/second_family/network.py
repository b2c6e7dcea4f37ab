"""A second model family: a small causal 2-D network with temporal shift, streams included.

Lin et al., "TSM: Temporal Shift Module for Efficient Video Understanding", arXiv 1811.08383, in its
online form: a quarter of the channels comes from the frame before. Written for
docs/adding_a_model.md; nothing in the package knows of it.
"""

from collections import OrderedDict
from itertools import pairwise

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.input_spec import InputSpec
from paddlevideo.modeling.interfaces import StreamingBackbone
from paddlevideo.modeling.layers.running_mean import RunningMean
from paddlevideo.modeling.registry import BACKBONES
from paddlevideo.modeling.states import StateExchange, StateSpec
from paddlevideo.utils.errors import ConfigError

_SHIFTED = 4  # one of so many channels


def convolution(in_channels: int, out_channels: int, stride: int) -> nn.Layer:
    """3x3 convolution, batch norm, relu."""
    return nn.Sequential(
        nn.Conv2D(in_channels, out_channels, 3, stride, padding=1, bias_attr=False),
        nn.BatchNorm2D(out_channels),
        nn.ReLU(),
    )


class ShiftBlock(nn.Layer):
    """A residual block on [B * T, C, H, W] whose branch sees some channels of the frame before."""

    def __init__(self, channels: int, name: str) -> None:
        super().__init__()
        self.shifted, self.state_name = channels // _SHIFTED, f"state_{name}_shift"
        self.conv = convolution(channels, channels, 1)

    def state_spec(self, size: tuple[int, int]) -> StateSpec:
        """The shifted channels of the last frame."""
        return StateSpec(self.state_name, (self.shifted, *size))

    def forward(self, x_NCHW: Tensor, frames: int, exchange: StateExchange | None) -> Tensor:
        """Return [B * T, C, H, W]; ``frames`` is T."""
        channels, height, width = x_NCHW.shape[1:]
        shifted, kept = paddle.split(x_NCHW, [self.shifted, channels - self.shifted], axis=1)
        values = self.shifted * height * width
        clip_BTS = shifted.reshape([-1, frames, values])
        newest_B1S = clip_BTS[:, frames - 1 :]
        if exchange is None:
            past_B1S = paddle.zeros_like(newest_B1S)
        else:
            past_B1S = exchange.take(self.state_name).reshape([-1, 1, values])
            exchange.put(self.state_name, newest_B1S.reshape([-1, self.shifted, height, width]))
        parts = [past_B1S] if frames == 1 else [past_B1S, clip_BTS[:, : frames - 1]]
        moved = paddle.concat(parts, axis=1).reshape([-1, self.shifted, height, width])
        return x_NCHW + self.conv(paddle.concat([moved, kept], axis=1))


@BACKBONES.register
class ShiftNet(StreamingBackbone):
    """Clip [B, 3, T, H, W] to the mean over all frames seen, [B, ``out_channels``].

    Args:
        width: channels of the first stage; they double from stage to stage.
        num_stages: each halves height and width.
    """

    def __init__(self, width: int = 16, num_stages: int = 3) -> None:
        if width % _SHIFTED or num_stages < 1:
            raise ConfigError(f"width is a multiple of {_SHIFTED}, num_stages at least 1")
        super().__init__(out_channels=width * 2 ** (num_stages - 1))
        channels = [3, *(width * 2**stage for stage in range(num_stages))]
        self.downs = nn.LayerList([convolution(*pair, stride=2) for pair in pairwise(channels)])
        self.blocks = nn.LayerList(
            [ShiftBlock(width, f"stage{stage}") for stage, width in enumerate(channels[1:])]
        )
        self.pool = RunningMean(self.out_channels, "state_head", per_frame=False)

    def input_spec(self) -> InputSpec:
        """Eight frames of 64x64."""
        return InputSpec(num_frames=8, height=64, width=64, stride_frames=5)

    def stages(self) -> OrderedDict[str, list[nn.Layer]]:
        """Pairs of a strided convolution and a block."""
        pairs = zip(self.downs, self.blocks, strict=True)
        return OrderedDict((f"stage{stage}", list(pair)) for stage, pair in enumerate(pairs))

    @property
    def receptive_field(self) -> int:
        """Every block sees one frame more."""
        return 1 + len(self.blocks)

    def state_specs(self, height: int, width: int) -> list[StateSpec]:
        """Names, shapes and dtypes of the states of one stream."""
        specs = []
        for block in self.blocks:
            height, width = -(-height // 2), -(-width // 2)
            specs.append(block.state_spec((height, width)))
        return [*specs, *self.pool.state_specs()]

    def forward(
        self,
        x_BCTHW: Tensor,
        exchange: StateExchange | None = None,
        endpoints: OrderedDict[str, Tensor] | None = None,
    ) -> Tensor:
        """Return [B, ``out_channels``]."""
        channels, frames, height, width = x_BCTHW.shape[1:]
        x = x_BCTHW.transpose([0, 2, 1, 3, 4]).reshape([-1, channels, height, width])
        for stage, (down, block) in enumerate(zip(self.downs, self.blocks, strict=True)):
            x = block(down(x), frames, exchange)
            if endpoints is not None:
                endpoints[f"stage{stage}"] = x
        frame_means = F.adaptive_avg_pool2d(x, 1).reshape([-1, frames, self.out_channels])
        return self.pool(frame_means.transpose([0, 2, 1]), exchange).squeeze(2)
