"""Value scaling as a layer of the model: clips stay uint8 until they are on the device."""

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.utils.errors import ConfigError


class InputScaling(nn.Layer):
    """``(x * scale - mean) / std`` per RGB channel, for uint8 or float pixels.

    Args:
        scale: what pixels are multiplied by; 1/255 maps uint8 to [0, 1].
        mean, std: of each channel, after ``scale``.

    It has no weights in the state dict: it describes the input, not what was learnt.
    """

    def __init__(
        self,
        scale: float = 1.0 / 255.0,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ConfigError("input scaling: mean and std need three values each, std above zero")
        factor = scale / np.asarray(std, np.float64)
        offset = -np.asarray(mean, np.float64) / np.asarray(std, np.float64)
        self.is_identity = bool(np.all(factor == 1.0) and np.all(offset == 0.0))
        self._factor = float(factor[0]) if np.ptp(factor) == 0.0 else None
        self._has_offset = bool(np.any(offset != 0.0))
        self.register_buffer("factor", _constant(factor), persistable=False)
        self.register_buffer("offset", _constant(offset), persistable=False)

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        """Return float32 [B, 3, T, H, W].

        The axes are exchanged while the clip is still uint8: a quarter of the bytes.
        """
        x = clip_BTCHW.transpose([0, 2, 1, 3, 4])
        x = x if x.dtype == paddle.float32 else x.astype("float32")
        if self.is_identity:
            return x
        _, _, frames, height, width = x.shape
        flat, shape = [-1, 3, frames * height * width], [-1, 3, frames, height, width]
        if self._factor is not None:
            x = x * self._factor
        else:  # flat: a product over five axes is an order of magnitude slower on the CPU
            x = (x.reshape(flat) * self.factor).reshape(shape)
        if self._has_offset:
            x = (x.reshape(flat) + self.offset).reshape(shape)
        return x


def _constant(values: np.ndarray) -> Tensor:
    return paddle.to_tensor(values.astype(np.float32).reshape(1, 3, 1))
