"""Means over space and time that can go on from one call to the next (docs/movinet.md)."""

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.layers.deployment import Deployment, StepContext
from paddlevideo.modeling.layers.folding import fixed
from paddlevideo.modeling.layers.running_sum import compensated_sum
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

    def deployed(self, deployment: Deployment, last_only: bool = False) -> nn.Layer:
        """The mean of what `Deployment.by_frame` gives; ``last_only``: after the last frame."""
        if deployment.num_frames is None:
            return _StepMean(self)
        weights = _weights_over_time(deployment.num_frames, self.per_frame)
        return _ClipMean(weights[-1:] if last_only else weights)


class _ClipMean(nn.Layer):
    """A mean over time of [B, T, C], of the whole clip or up to each frame: a matrix product.

    Every frame has a result of its own even where all are equal: engines are slow where they must
    repeat a gate along an axis in the middle.
    """

    def __init__(self, weights: np.ndarray) -> None:
        super().__init__()
        self.weights = fixed(weights)

    def forward(self, pooled_BTC: Tensor, _context: None) -> Tensor:
        return paddle.matmul(self.weights, pooled_BTC)


class _StepMean(nn.Layer):
    """The mean of [B, C, 1, 1] and of all frames before it."""

    def __init__(self, mean: RunningMean) -> None:
        super().__init__()
        self.sum_name, self.rest_name = mean.sum_name, mean.rest_name

    def forward(self, pooled_BC11: Tensor, context: StepContext) -> Tensor:
        return context.add(self.sum_name, self.rest_name, pooled_BC11) * context.inverse_count


def _weights_over_time(num_frames: int, per_frame: bool) -> np.ndarray:
    """[T, T]: row t has the weights of the frames in the mean up to frame t, or of the clip."""
    if not per_frame:
        return np.full((num_frames, num_frames), 1.0 / num_frames)
    return np.tri(num_frames) / np.arange(1, num_frames + 1)[:, None]


def _positions(num_frames: int, like: Tensor) -> Tensor:
    """1, 2, ..., T as [1, 1, T]."""
    return paddle.arange(1, num_frames + 1, dtype="int32").astype(like.dtype).reshape([1, 1, -1])


def _as_float(count_B: Tensor, like: Tensor) -> Tensor:
    return count_B.astype(like.dtype).reshape([-1, 1, 1])
