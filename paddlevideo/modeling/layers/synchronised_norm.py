"""Batch norm whose statistics are those of the batches of all processes (``sync_batch_norm``).

Two exchanges of a few numbers a channel for each layer, one forward and one backward: number, sum
and sum of squares of the values; then, with g the gradient of the normalised and scaled output and
z the normalised input, sum(g) and sum(g z):

    gx = gamma / deviation * (g - sum(g) / n - z * sum(g z) / n),   n values of all processes.

The gradients of gamma and beta are of this process alone: they are averaged over processes with all
others. So several processes compute what one with all clips would.
"""

from typing import Any

import paddle
from paddle import Tensor
from paddle.autograd import PyLayer

from paddlevideo.modeling.distributed import sum_over_processes


class SynchronisedNorm(PyLayer):
    """Normalise by all processes' batches: (x, gamma, beta, epsilon) to (y, mean, variance, n).

    ``variance`` is the biased one; it and ``mean`` [C] and ``n`` [1] have no gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, x_BCN: Tensor, gamma_C: Tensor, beta_C: Tensor, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Normalise [B, C, N]."""
        x = x_BCN.astype("float32")
        count = paddle.full([1], x.shape[0] * x.shape[2], "float64")
        mean_C = x.mean([0, 2]).astype("float64")
        squares_C = x.var([0, 2], unbiased=False).astype("float64") + mean_C**2
        sums = sum_over_processes(paddle.concat([count * mean_C, count * squares_C, count]))
        total, channels = sums[-1:], mean_C.shape[0]
        mean_C = sums[:channels] / total
        variance_C = paddle.clip(sums[channels:-1] / total - mean_C**2, min=0.0)
        inverse_C = (1.0 / paddle.sqrt(variance_C + epsilon)).astype("float32")
        mean_C, variance_C = mean_C.astype("float32"), variance_C.astype("float32")
        normal = (x - _wide(mean_C)) * _wide(inverse_C)
        y = normal * _wide(gamma_C.astype("float32")) + _wide(beta_C.astype("float32"))
        ctx.save_for_backward(x_BCN, gamma_C, mean_C, inverse_C, total)
        ctx.mark_non_differentiable(mean_C, variance_C, total)
        return y.astype(x_BCN.dtype), mean_C, variance_C, total

    @staticmethod
    def backward(ctx: Any, gradient_BCN: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of input, gamma and beta."""
        x_BCN, gamma_C, mean_C, inverse_C, total = ctx.saved_tensor()
        g = gradient_BCN.astype("float32")
        normal = (x_BCN.astype("float32") - _wide(mean_C)) * _wide(inverse_C)
        gbeta_C, ggamma_C = g.sum([0, 2]), (g * normal).sum([0, 2])
        sums = sum_over_processes(paddle.concat([gbeta_C, ggamma_C]).astype("float64")) / total
        mean_g_C, mean_gz_C = sums.astype("float32").split(2)
        product = _wide(inverse_C * gamma_C.astype("float32"))
        gx = product * (g - _wide(mean_g_C) - normal * _wide(mean_gz_C))
        kind = gamma_C.dtype
        return gx.astype(x_BCN.dtype), ggamma_C.astype(kind), gbeta_C.astype(kind)


def _wide(values_C: Tensor) -> Tensor:
    return values_C.reshape([1, -1, 1])
