"""A recognizer on whole clips as a network of its own, to be exported: the same in less time."""

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn


class ClipProgram(nn.Layer):
    """Clips [B, T, 3, H, W] (uint8 or float32, RGB) of one size to logits.

    Args:
        network: the ``clip_network`` of a `Backbone`.
        head: a classifier of [B, C, 1, 1].
        height, width: of the frames.
    """

    def __init__(self, network: nn.Layer, head: nn.Layer, height: int, width: int) -> None:
        super().__init__()
        self.frame_shape = (3, height, width)
        self.network, self.head = network, head

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Return logits [B, num_classes]."""
        return self.head(self.network(clip_BTCHW.reshape([-1, *self.frame_shape])))


class MeanOfPrograms(nn.Layer):
    """Clips, one for each of several programs, to the mean of their logits."""

    def __init__(self, programs: Sequence[nn.Layer]) -> None:
        super().__init__()
        self.programs = nn.LayerList(programs)

    def forward(self, *clips: Tensor) -> Tensor:
        """Return logits [B, num_classes]."""
        logits = [program(clip) for program, clip in zip(self.programs, clips, strict=True)]
        return paddle.add_n(logits) / float(len(logits))
