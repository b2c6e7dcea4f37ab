"""A recognizer's step as a network of its own, to be exported: one frame and states in and out."""

from paddle import Tensor, nn

from paddlevideo.modeling.states import QueueSpec


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
