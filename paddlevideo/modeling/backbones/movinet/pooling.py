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

    The sum is compensated (Kahan): a second tensor holds what rounding to float32 took from it and
    is added with the next frame. Its error is then that of one rounding, not of as many as there
    were frames: a plain float32 sum stands still after some 10^7 frames.

    Args:
        per_frame: True gives the mean up to each frame, [B, C, T]; False the mean after the
            last one, [B, C, 1].
    """

    def __init__(self, channels: int, state_prefix: str, per_frame: bool) -> None:
        super().__init__()
        self.channels = channels
        self.per_frame = per_frame
        self.sum_name = f"{state_prefix}_pool_buffer"
        self.rest_name = f"{state_prefix}_pool_rest"
        self.count_name = f"{state_prefix}_pool_frame_count"

    def state_specs(self) -> list[StateSpec]:
        """The running sum [B, C], what rounding took from it, and the frame counter [B]."""
        return [
            StateSpec(self.sum_name, (self.channels,)),
            StateSpec(self.rest_name, (self.channels,)),
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
        old_rest = exchange.take(self.rest_name)
        if self.per_frame:
            added_BCT = mean_BCT.cumsum(axis=2)
            count_BCT = _positions(num_frames, mean_BCT) + _as_float(old_count, mean_BCT)
        else:
            added_BCT = mean_BCT.sum(axis=2, keepdim=True)
            count_BCT = _as_float(old_count, mean_BCT) + float(num_frames)
        sum_BCT, rest_BCT = compensated_sum(old_sum.unsqueeze(2), old_rest.unsqueeze(2), added_BCT)
        exchange.put(self.sum_name, sum_BCT[:, :, -1])
        exchange.put(self.rest_name, rest_BCT[:, :, -1])
        exchange.put(self.count_name, old_count + paddle.full([1], num_frames, "int32"))
        return sum_BCT / count_BCT


def compensated_sum(total: Tensor, rest: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``total + rest + added``, and what rounding took from it.

    No subtraction: the engine of exported steps knows sums and products.
    """
    added = added + rest
    result = total + added
    minus_one = paddle.full([1] * result.ndim, -1.0, "float32").astype(result.dtype)
    return result, added + (total + result * minus_one)


def _positions(num_frames: int, like: Tensor) -> Tensor:
    """1, 2, ..., T as [1, 1, T]."""
    return paddle.arange(1, num_frames + 1, dtype="int32").astype(like.dtype).reshape([1, 1, -1])


def _as_float(count_B: Tensor, like: Tensor) -> Tensor:
    return count_B.astype(like.dtype).reshape([-1, 1, 1])
