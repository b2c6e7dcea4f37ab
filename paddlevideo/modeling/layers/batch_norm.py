"""Batch normalisation whose running variance is the unbiased one on every device."""

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn


class BatchNorm(nn.BatchNorm3D):
    """Batch norm over [B, C, T, H, W].

    Normalises with the biased batch variance and keeps the *unbiased* one as running variance,
    as TensorFlow's fused kernel and cuDNN do; Paddle's CPU kernel keeps the biased one (spec
    section 2.3). ``momentum`` is the weight of the old value.
    """

    def __init__(self, num_channels: int, momentum: float = 0.99, epsilon: float = 1e-3) -> None:
        super().__init__(num_channels, momentum=momentum, epsilon=epsilon)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Normalise; in training also update the running statistics."""
        if not self.training or not x_BCTHW.place.is_cpu_place():
            return self._normalise(x_BCTHW)
        old_share = self._variance * self._momentum
        y_BCTHW = self._normalise(x_BCTHW)
        num_values = x_BCTHW.size // x_BCTHW.shape[1]
        if num_values > 1:
            with paddle.no_grad():
                batch_share = self._variance - old_share
                self._variance.set_value(self._variance + batch_share / (num_values - 1))
        return y_BCTHW

    def _normalise(self, x_BCTHW: Tensor) -> Tensor:
        """The base class's forward, without its warning at every first training step."""
        return F.batch_norm(
            x_BCTHW,
            self._mean,
            self._variance,
            weight=self.weight,
            bias=self.bias,
            training=self.training,
            momentum=self._momentum,
            epsilon=self._epsilon,
            data_format=self._data_format,
        )
