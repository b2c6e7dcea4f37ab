"""A recognizer as a network of its own, to be exported: for whole clips, or one frame at a time."""

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.states import QueueSpec


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


class StepProgram(nn.Layer):
    """A frame [B, 3, H, W] (uint8 or float32, RGB) and states, to logits and new states.

    Args:
        network: the ``step_network`` of a `Backbone`.
        head: a classifier of [B, C, 1, 1].
        dtype: of the frame's pixels.
    """

    def __init__(self, network: nn.Layer, head: nn.Layer, num_classes: int, dtype: str) -> None:
        super().__init__()
        self.network, self.head = network, head
        self.num_classes, self.dtype = num_classes, dtype

    @property
    def queues(self) -> list[QueueSpec]:
        """The states, in the order in which `forward` takes and gives them."""
        return list(self.network.queues)

    def forward(self, frame_BCHW: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return logits [B, num_classes], then the newest tensor of every queue."""
        features, new = self.network(frame_BCHW, states)
        return (self.head(features), *new)
