"""Fake quantisation: values rounded to 8 bits and back, with gradients as if they were not.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", arXiv 1712.05877: ``y = scale * (clamp(round(x / scale) + zero, 0, 255) - zero)``, whose
gradient is that of ``x`` inside the range and 0 outside. Arithmetic is that of an int8 bundle
(`paddlevideo.utils.eight_bits`), so what is trained is what it computes.
"""

from types import ModuleType
from typing import Any

import numpy as np
import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from paddlevideo.modeling.layers.compiled import kernels_for, memory_of, needs_gradient
from paddlevideo.utils.cpu_threads import CPU_THREADS
from paddlevideo.utils.eight_bits import LEVELS, Range, symmetric_int8

_KERNELS = "fake_quantization_kernels"
_SMALL = 1 << 14  # fewer values are not worth several threads


def fake_quantize(x: Tensor, found: Range) -> Tensor:
    """Return ``x`` on the 256 steps of a range, float32; the gradient passes where it covers ``x``.

    Traced into a program it is the operations multiply, round, clip and multiply.
    """
    if not paddle.in_dynamic_mode():
        return _rounded(x, found)
    x = x if x.dtype == paddle.float32 else x.astype("float32")
    kernels = kernels_for(_KERNELS, x)
    if needs_gradient(x):
        return _FakeQuantized.apply(x, found, kernels)
    return _rounded(x, found) if kernels is None else _rounded_by_kernels(x, found, kernels)


def round_kernel(kernel: np.ndarray) -> np.ndarray:
    """A kernel [C_out, ...] on int8 and back, with a scale for each output channel."""
    whole, scale = symmetric_int8(kernel)
    return whole * scale


def fake_quantize_kernel(weight: Tensor, factor: np.ndarray, output_axis: int = 0) -> Tensor:
    """Return ``weight`` so that its product with ``factor`` is on int8; the gradient passes.

    Args:
        factor: what the kernel is multiplied by where it is used, as batch norm's; it broadcasts
            to the weight.
        output_axis: of the weight's axes the one of output channels.
    """
    return _FakeQuantizedKernel.apply(weight, factor, output_axis)


def low_and_high(x: Tensor) -> tuple[float, float]:
    """The smallest and the largest value of a tensor."""
    kernels = kernels_for(_KERNELS, x)
    if kernels is None:
        return float(x.min()), float(x.max())
    values = memory_of(x).reshape(-1)
    bounds: list[tuple[float, float]] = []

    def work(first: int, last: int) -> None:
        bounds.append(kernels.low_and_high(values[first:last]))

    _share_out(values.size, work)
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _rounded(x: Tensor, found: Range) -> Tensor:
    zero = float(found.zero_point)
    # Half to even in Paddle as in NumPy and ONNX.
    steps = paddle.clip(paddle.round(x / found.scale), -zero, LEVELS - zero)
    return steps * found.scale


def _rounded_by_kernels(x: Tensor, found: Range, kernels: ModuleType) -> Tensor:
    y = paddle.empty(x.shape, "float32")
    x_N, y_N = memory_of(x).reshape(-1), memory_of(y).reshape(-1)
    scale, zero = np.float32(found.scale), np.float32(found.zero_point)

    def work(first: int, last: int) -> None:
        kernels.forward(x_N[first:last], y_N[first:last], scale, zero)

    _share_out(x_N.size, work)
    return y


def _share_out(count: int, work: Any) -> None:
    if count < _SMALL:
        work(0, count)
    else:
        CPU_THREADS.share_out(count, work)


class _FakeQuantized(PyLayer):
    """Rounding as one differentiable operation that keeps only its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, found: Range, kernels: ModuleType | None) -> Tensor:
        """Round; the input is kept for the gradient."""
        ctx.save_for_backward(x)
        ctx.found, ctx.kernels = found, kernels
        return _rounded(x, found) if kernels is None else _rounded_by_kernels(x, found, kernels)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient where the input lies in the range, and 0 elsewhere."""
        (x,) = ctx.saved_tensor()
        zero = float(ctx.found.zero_point)
        if ctx.kernels is None:
            steps = paddle.round(x / ctx.found.scale)
            inside = paddle.logical_and(steps >= -zero, steps <= LEVELS - zero)
            return gradient * inside.astype(gradient.dtype)
        gx = paddle.empty(x.shape, "float32")
        x_N, g_N, gx_N = (memory_of(tensor).reshape(-1) for tensor in (x, gradient, gx))

        def work(first: int, last: int) -> None:
            ctx.kernels.backward(
                x_N[first:last], g_N[first:last], gx_N[first:last],
                np.float32(ctx.found.scale), np.float32(zero),
            )  # fmt: skip

        _share_out(x_N.size, work)
        return gx


class _FakeQuantizedKernel(PyLayer):
    """A kernel's rounding; nothing of it is cut off, so the gradient passes everywhere."""

    @staticmethod
    def forward(_ctx: Any, weight: Tensor, factor: np.ndarray, output_axis: int) -> Tensor:
        """Round the product with the factor, and divide by it again."""
        values: np.ndarray = weight.astype("float32").numpy()
        factor = np.broadcast_to(factor, values.shape)
        moved = np.moveaxis(values * factor, output_axis, 0)
        rounded = np.moveaxis(round_kernel(moved), 0, output_axis)
        used = np.divide(rounded, factor, out=values.copy(), where=factor != 0.0)
        return paddle.to_tensor(np.ascontiguousarray(used, np.float32), place=weight.place)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        """Return the gradient as it comes."""
        return gradient.clone()
