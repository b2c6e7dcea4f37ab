"""A recognizer on whole clips as a network of its own, to be exported: the same in less time."""

from collections.abc import Sequence

import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.layers.folding import fold_scaling

ClipSize = tuple[int, int, int]


class ClipProgram(nn.Layer):
    """Clips [B, T, 3, H, W] (uint8 or float32, RGB) of one size to logits.

    Args:
        recognizer: with its weights; they are copied. Its backbone has a ``clip_network``.
        size: T, H, W.
    """

    def __init__(self, recognizer: nn.Layer, size: ClipSize) -> None:
        super().__init__()
        self.frame_shape = (3, *size[1:])
        self.network = recognizer.backbone.clip_network(*size)
        self.offset = fold_scaling(recognizer.scaling, self.network.stem.weight)
        self.head = recognizer.head.as_convolutions()

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Return logits [B, num_classes]."""
        x_NCHW = clip_BTCHW.reshape([-1, *self.frame_shape])
        x_NCHW = x_NCHW if x_NCHW.dtype == paddle.float32 else x_NCHW.astype("float32")
        if self.offset is not None:
            x_NCHW = x_NCHW + self.offset
        return self.head(self.network(x_NCHW))


class MeanOfPrograms(nn.Layer):
    """Clips, one for each of several programs, to the mean of their logits."""

    def __init__(self, programs: Sequence[nn.Layer]) -> None:
        super().__init__()
        self.programs = nn.LayerList(programs)

    def forward(self, *clips: Tensor) -> Tensor:
        """Return logits [B, num_classes]."""
        logits = [program(clip) for program, clip in zip(self.programs, clips, strict=True)]
        return paddle.add_n(logits) / float(len(logits))
