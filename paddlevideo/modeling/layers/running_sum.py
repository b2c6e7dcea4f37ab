"""Sums of float32 numbers that stay exact over any number of steps."""

import paddle
from paddle import Tensor


def compensated_sum(total: Tensor, rest: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``total + rest + added``, and what rounding took from it.

    No subtraction: the engine of exported steps knows sums and products.
    """
    added = added + rest
    result = total + added
    minus_one = paddle.full([1] * result.ndim, -1.0, "float32").astype(result.dtype)
    return result, added + (total + result * minus_one)
