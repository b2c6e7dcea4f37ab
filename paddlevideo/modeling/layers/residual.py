"""What a residual branch is multiplied by: a learnt scalar, and chance in training."""

import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.layers.initializers import constant


class Rezero(nn.Layer):
    """Multiply by one learnt scalar that starts at 0, so that a new block is the identity."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = self.create_parameter([1], attr=constant(0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x * scale``."""
        return x * self.scale


class StochasticDepth(nn.Layer):
    """Drop the branch of whole samples in training, scaled to keep its mean (docs/movinet.md)."""

    def __init__(self, drop_rate: float) -> None:
        super().__init__()
        self.keep_rate = 1.0 - drop_rate

    def forward(self, branch_BCTHW: Tensor) -> Tensor:
        """Return the branch, each sample kept with ``keep_rate`` or zero."""
        if not self.training or self.keep_rate == 1.0:
            return branch_BCTHW
        keep = paddle.floor(self.keep_rate + paddle.rand([branch_BCTHW.shape[0], 1, 1, 1, 1]))
        return branch_BCTHW * (keep / self.keep_rate).astype(branch_BCTHW.dtype)
