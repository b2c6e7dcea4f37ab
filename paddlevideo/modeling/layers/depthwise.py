"""Depthwise 3-D convolution: Paddle's, or on the CPU our own compiled one.

Paddle's CPU kernel unrolls every channel into a matrix of kt * kh * kw copies and multiplies on one
core: half of the time of a MoViNet. The kernels of `depthwise_kernels` give the same to rounding in
a fifth of that time or less (docs/benchmarks.md); neither Paddle nor a library it can hand its
tensors to has such an operation for the CPU.
"""

import logging
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import Tensor
from paddle.autograd import PyLayer

from paddlevideo.utils.cpu_threads import CPU_THREADS

logger = logging.getLogger(__name__)

# (before, after) of each axis: time, height, width
Padding3D = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def depthwise_conv3d(x_BCTHW: Tensor, weight: Tensor, stride: int, padding: Padding3D) -> Tensor:
    """Convolve every channel with its own kernel.

    Args:
        weight: [C, 1, kt, kh, kw].
        stride: of height and width; time is not strided.
        padding: zeros (before, after) of time, height, width.
    """
    if (
        paddle.in_dynamic_mode()
        and x_BCTHW.place.is_cpu_place()
        and x_BCTHW.dtype == weight.dtype == paddle.float32
        and x_BCTHW.size
        and _kernels() is not None
    ):
        return _CompiledConvolution.apply(x_BCTHW, weight, stride, padding)
    return F.conv3d(
        x_BCTHW,
        weight,
        stride=[1, stride, stride],
        padding=[size for axis in padding for size in axis],
        groups=weight.shape[0],
    )


class _CompiledConvolution(PyLayer):
    """The compiled kernels as one differentiable operation."""

    @staticmethod
    def forward(
        ctx: Any, x_BCTHW: Tensor, weight: Tensor, stride: int, padding: Padding3D
    ) -> Tensor:
        ctx.save_for_backward(x_BCTHW, weight)
        ctx.stride, ctx.before = stride, tuple(before for before, _ in padding)
        strides = (1, stride, stride)
        shape = [
            (size + sum(zeros) - kernel) // step + 1
            for size, zeros, kernel, step in zip(
                x_BCTHW.shape[2:], padding, weight.shape[2:], strides, strict=True
            )
        ]
        y = paddle.empty([*x_BCTHW.shape[:2], *shape], "float32")
        arrays = (_array(x_BCTHW), _array(weight)[:, 0], _array(y))
        kernel = _kernels().forward  # type: ignore[union-attr]

        def work(first: int, last: int) -> None:
            kernel(*arrays, ctx.stride, ctx.before, first, last)

        CPU_THREADS.share_out(x_BCTHW.shape[1], work)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x_BCTHW, weight = ctx.saved_tensor()
        gx, gw = paddle.empty_like(x_BCTHW), paddle.zeros_like(weight)
        arrays = (
            _array(x_BCTHW),
            _array(weight)[:, 0],
            _array(gradient),
            _array(gx),
            _array(gw)[:, 0],
        )
        kernel = _kernels().backward  # type: ignore[union-attr]

        def work(first: int, last: int) -> None:
            kernel(*arrays, ctx.stride, ctx.before, first, last)

        CPU_THREADS.share_out(x_BCTHW.shape[1], work)
        return gx, gw


def _array(tensor: Tensor) -> np.ndarray:
    """The tensor's own memory as an array (a copy of it where it is not contiguous)."""
    return np.from_dlpack(tensor.detach().contiguous())


@lru_cache(maxsize=1)
def _kernels() -> ModuleType | None:
    """The compiled kernels, or None where numba cannot be had (a Python newer than it knows)."""
    try:
        from paddlevideo.modeling.layers import depthwise_kernels
    except ImportError as error:
        logger.warning("depthwise convolutions by Paddle's slower kernel: %s", error)
        return None
    return depthwise_kernels
