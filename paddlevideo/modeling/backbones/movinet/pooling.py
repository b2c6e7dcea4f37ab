"""Means over space and time that can go on from one call to the next (spec section 2.8)."""

import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.states import StateExchange, StateSpec


def spatial_mean(x_BCTHW: Tensor) -> Tensor:
    """Mean over height and width: [B, C, T].

    A sum over one trailing axis: Paddle's gradient of a mean over several axes is an order of
    magnitude slower on the CPU, and its oneDNN engine writes a debug line for every mean. (The
    batch is -1 in every reshape: an exported program then reads no shapes at run time.)
    """
    _, channels, frames, height, width = x_BCTHW.shape
    x = x_BCTHW.reshape([-1, channels, frames, height * width])
    return x.sum(axis=-1) * (1.0 / (height * width))


class RunningMean(nn.Layer):
    """Mean over all frames a stream has seen; its state is their sum and their number.

    Args:
        per_frame: True gives the mean up to each frame, [B, C, T]; False the mean after the
            last one, [B, C, 1].
    """

    def __init__(self, channels: int, state_prefix: str, per_frame: bool) -> None:
        super().__init__()
        self.channels = channels
        self.per_frame = per_frame
        self.sum_name = f"{state_prefix}_pool_buffer"
        self.count_name = f"{state_prefix}_pool_frame_count"

    def state_specs(self) -> list[StateSpec]:
        """The running sum [B, C] and the frame counter [B]."""
        return [
            StateSpec(self.sum_name, (self.channels,)),
            StateSpec(self.count_name, (), "int32"),
        ]

    def forward(self, mean_BCT: Tensor, exchange: StateExchange | None) -> Tensor:
        """Average over time, continuing the exchange's stream if there is one."""
        num_frames = mean_BCT.shape[2]
        if exchange is None:
            if not self.per_frame:
                return mean_BCT.sum(axis=2, keepdim=True) * (1.0 / num_frames)
            return mean_BCT.cumsum(axis=2) / _positions(num_frames, mean_BCT)
        old_sum, old_count = exchange.take(self.sum_name), exchange.take(self.count_name)
        if self.per_frame:
            sum_BCT = mean_BCT.cumsum(axis=2) + old_sum.unsqueeze(2)
            count_BCT = _positions(num_frames, mean_BCT) + _as_float(old_count, mean_BCT)
        else:
            sum_BCT = mean_BCT.sum(axis=2, keepdim=True) + old_sum.unsqueeze(2)
            count_BCT = _as_float(old_count, mean_BCT) + float(num_frames)
        exchange.put(self.sum_name, sum_BCT[:, :, -1])
        exchange.put(self.count_name, old_count + paddle.full([1], num_frames, "int32"))
        return sum_BCT / count_BCT


def _positions(num_frames: int, like: Tensor) -> Tensor:
    """1, 2, ..., T as [1, 1, T]."""
    return paddle.arange(1, num_frames + 1, dtype="int32").astype(like.dtype).reshape([1, 1, -1])


def _as_float(count_B: Tensor, like: Tensor) -> Tensor:
    return count_B.astype(like.dtype).reshape([-1, 1, 1])
