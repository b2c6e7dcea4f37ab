"""Depthwise 3-D convolution, with a faster arithmetic for small maps on the CPU.

Paddle's CPU kernel unrolls and multiplies channel by channel and sample by sample; on maps of a
few pixels the calls cost more than the arithmetic. There the same convolution is computed as one
batched matrix product: each kernel is spread, once per call, into a matrix from the pixels of a
map to the pixels of its output. The result is the same to rounding; docs/benchmarks.md has times.
"""

from functools import lru_cache

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor

# Above this many input pixels the zeros in the matrices cost more than they save.
_MAX_MATRIX_PIXELS = 64

# (before, after) of each axis: time, height, width
Padding3D = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def depthwise_conv3d(x_BCTHW: Tensor, weight: Tensor, stride: int, padding: Padding3D) -> Tensor:
    """Convolve every channel with its own kernel.

    Args:
        weight: [C, 1, kt, kh, kw].
        stride: of height and width; time is not strided.
        padding: zeros (before, after) of time, height, width.
    """
    height, width = x_BCTHW.shape[3:]
    if (
        paddle.in_dynamic_mode()
        and x_BCTHW.place.is_cpu_place()
        and height * width <= _MAX_MATRIX_PIXELS
        and x_BCTHW.dtype == weight.dtype
    ):
        return _matrix_conv3d(x_BCTHW, weight, stride, padding)
    return F.conv3d(
        x_BCTHW,
        weight,
        stride=[1, stride, stride],
        padding=[size for axis in padding for size in axis],
        groups=weight.shape[0],
    )


def _matrix_conv3d(x_BCTHW: Tensor, weight: Tensor, stride: int, padding: Padding3D) -> Tensor:
    """The same as one product of [C * kt, T * B, H * W] with a matrix per channel and time tap."""
    batch, channels, frames, height, width = x_BCTHW.shape
    kt, kh, kw = weight.shape[2:]
    out_frames = frames + sum(padding[0]) - kt + 1
    out_height = (height + sum(padding[1]) - kh) // stride + 1
    out_width = (width + sum(padding[2]) - kw) // stride + 1
    spread = _spread(
        (height, kh, stride, padding[1][0], out_height),
        (width, kw, stride, padding[2][0], out_width),
    )
    matrices = paddle.matmul(weight.reshape([channels * kt, kh * kw]), spread)
    matrices = matrices.reshape([channels * kt, height * width, out_height * out_width])
    x = x_BCTHW.transpose([1, 2, 0, 3, 4]).reshape([channels, frames, -1])
    if kt > 1 or out_frames != frames:
        x = paddle.matmul(_shifted_frames((frames, kt, 1, padding[0][0], out_frames)), x)
    y = paddle.bmm(x.reshape([channels * kt, out_frames * batch, -1]), matrices)
    if kt > 1:
        y = y.reshape([channels, kt, out_frames * batch, -1]).sum(axis=1)
    y = y.reshape([channels, out_frames, batch, out_height, out_width])
    return y.transpose([2, 0, 1, 3, 4])


Axis = tuple[int, int, int, int, int]  # size, kernel, stride, zeros before, size of the output


def _taps(axis: Axis) -> np.ndarray:
    """0/1 array [kernel, size, out_size]: the input that each kernel position sees."""
    size, kernel, stride, before, out_size = axis
    dense: np.ndarray = np.zeros((kernel, size, out_size), np.float32)
    for out in range(out_size):
        for position in range(kernel):
            source = out * stride + position - before
            if 0 <= source < size:
                dense[position, source, out] = 1.0
    return dense


@lru_cache(maxsize=256)
def _spread(rows: Axis, columns: Axis) -> Tensor:
    """0/1 matrix [kh * kw, H * W * H_out * W_out] that writes a kernel into its matrix."""
    both = np.einsum("iho,jwp->ijhwop", _taps(rows), _taps(columns))
    return paddle.to_tensor(both.reshape(rows[1] * columns[1], -1))


@lru_cache(maxsize=256)
def _shifted_frames(axis: Axis) -> Tensor:
    """0/1 matrix [kt * T_out, T]: for each time tap the frame under it, or none."""
    return paddle.to_tensor(_taps(axis).transpose(0, 2, 1).reshape(-1, axis[0]))
