"""Depthwise 3-D convolution: Paddle's, or on the CPU our own compiled one.

Paddle's CPU kernel unrolls every channel into a matrix of kt * kh * kw copies and multiplies on one
core: half of the time of a MoViNet. The kernels of `depthwise_kernels` give the same to rounding in
a fifth of that time or less (docs/benchmarks.md); neither Paddle nor a library it can hand its
tensors to has such an operation for the CPU.
"""

from types import ModuleType
from typing import Any

import paddle
import paddle.nn.functional as F
from paddle import Tensor
from paddle.autograd import PyLayer

from paddlevideo.modeling.layers.compiled import kernels_for, memory_of, needs_gradient
from paddlevideo.utils.cpu_threads import CPU_THREADS

# (before, after) of each axis: time, height, width
Padding3D = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def depthwise_conv3d(x_BCTHW: Tensor, weight: Tensor, stride: int, padding: Padding3D) -> Tensor:
    """Convolve every channel with its own kernel.

    Args:
        weight: [C, 1, kt, kh, kw].
        stride: of height and width; time is not strided.
        padding: zeros (before, after) of time, height, width.
    """
    kernels = kernels_for("depthwise_kernels", x_BCTHW, weight)
    if kernels is not None:
        if needs_gradient(x_BCTHW, weight):
            return _CompiledConvolution.apply(x_BCTHW, weight, stride, padding, kernels)
        return _convolve(x_BCTHW, weight, stride, padding, kernels)
    return F.conv3d(
        x_BCTHW,
        weight,
        stride=[1, stride, stride],
        padding=[size for axis in padding for size in axis],
        groups=weight.shape[0],
    )


def _convolve(
    x_BCTHW: Tensor, weight: Tensor, stride: int, padding: Padding3D, kernels: ModuleType
) -> Tensor:
    shape = [
        (size + sum(zeros) - kernel) // step + 1
        for size, zeros, kernel, step in zip(
            x_BCTHW.shape[2:], padding, weight.shape[2:], (1, stride, stride), strict=True
        )
    ]
    y = paddle.empty([*x_BCTHW.shape[:2], *shape], "float32")
    arrays = (memory_of(x_BCTHW), memory_of(weight)[:, 0], memory_of(y))
    before = _before(padding)

    def work(first: int, last: int) -> None:
        kernels.forward(*arrays, stride, before, first, last)

    CPU_THREADS.share_out(x_BCTHW.shape[1], work)
    return y


def _before(padding: Padding3D) -> tuple[int, ...]:
    return tuple(before for before, _ in padding)


class _CompiledConvolution(PyLayer):
    """The compiled kernels as one differentiable operation."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BCTHW: Tensor,
        weight: Tensor,
        stride: int,
        padding: Padding3D,
        kernels: ModuleType,
    ) -> Tensor:
        """Convolve; input and weight are kept for the gradients."""
        ctx.save_for_backward(x_BCTHW, weight)
        ctx.stride, ctx.before, ctx.kernels = stride, _before(padding), kernels
        return _convolve(x_BCTHW, weight, stride, padding, kernels)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of input and weight."""
        x_BCTHW, weight = ctx.saved_tensor()
        gx, gw = paddle.empty_like(x_BCTHW), paddle.zeros_like(weight)
        arrays = (
            memory_of(x_BCTHW),
            memory_of(weight)[:, 0],
            memory_of(gradient),
            memory_of(gx),
            memory_of(gw)[:, 0],
        )

        def work(first: int, last: int) -> None:
            ctx.kernels.backward(*arrays, ctx.stride, ctx.before, first, last)

        CPU_THREADS.share_out(x_BCTHW.shape[1], work)
        return gx, gw
