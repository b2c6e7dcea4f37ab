"""A recognizer's step as a network of its own, to be exported: one frame and states in and out."""

import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.layers.folding import fold_scaling
from paddlevideo.modeling.states import QueueSpec


class StepProgram(nn.Layer):
    """Frame [B, 3, H, W] (uint8 or float32, RGB) and the tensors of all queues, to logits and news.

    Args:
        recognizer: causal, with its weights; they are copied.
        height, width: of the frames.

    Raises:
        ConfigError: the recognizer cannot run frame by frame.
    """

    def __init__(self, recognizer: nn.Layer, height: int, width: int) -> None:
        super().__init__()
        self.network = recognizer.backbone.step_network(height, width)
        self.dtype = recognizer.input_spec().dtype
        self.frame_shape = (3, height, width)
        self.num_classes = recognizer.num_classes
        self.offset = fold_scaling(recognizer.scaling, self.network.stem.weight)
        self.head = recognizer.head.as_convolutions()

    @property
    def queues(self) -> list[QueueSpec]:
        """The states, in the order in which `forward` takes and gives them."""
        return list(self.network.queues)

    def forward(self, frame_BCHW: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Return logits [B, num_classes], then the newest tensor of every queue."""
        x = frame_BCHW if frame_BCHW.dtype == paddle.float32 else frame_BCHW.astype("float32")
        if self.offset is not None:
            x = x + self.offset
        pooled, new = self.network(x, states)
        return (self.head(pooled), *new)
