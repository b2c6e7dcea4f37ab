"""PreciseBN: running statistics of batch norm as true means over many batches.

Wu and Johnson, "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576, section 3: a moving average of
training lags behind the weights; the population statistics are those of many batches, all seen with
the same weights, each normalised by its own statistics as in training. Of batch k with n_k values,
mean m_k and biased variance v_k of a channel, in float64:

    mean = sum(n_k m_k) / n,    variance = sum(n_k (v_k + m_k^2)) / n - mean^2,    n = sum(n_k),

and n / (n - 1) times the variance is kept, as running statistics are unbiased here.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.distributed import all_reduce_sum
from paddlevideo.modeling.layers.restore_batch_norm import trained_batch_norms
from paddlevideo.utils.errors import DataError, NonFiniteError


class _Moments:
    """Number, sum and sum of squares of the values of each channel, on the device."""

    def __init__(self, channels: int) -> None:
        self.sums = paddle.zeros([3, channels], "float64")

    def add(self, x: Tensor) -> None:
        """Count the values of [B, C, ...]."""
        x = x.detach().astype("float32")
        axes = [axis for axis in range(x.ndim) if axis != 1]
        mean = x.mean(axes).astype("float64")
        variance = x.var(axes, unbiased=False).astype("float64")
        num_values = float(x.size // x.shape[1])
        terms = paddle.stack([paddle.ones_like(mean), mean, variance + mean * mean])
        self.sums = self.sums + num_values * terms

    def mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and unbiased variance [C] over all processes."""
        count, total, squares = all_reduce_sum(self.sums.numpy())
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0.0)
        return mean, variance * count / np.maximum(count - 1.0, 1.0)


def recompute_running_statistics(model: nn.Layer, batches: Iterable[Mapping[str, Tensor]]) -> int:
    """Give batch norm the statistics of ``batches`` with the present weights.

    Batch norms normalise by each batch's own statistics, the rest of the model is in evaluation
    mode (no dropout, no stochastic depth). Frozen batch norms stay in evaluation mode and as they
    are. Modes are as before afterwards. With several processes the statistics are those of the
    batches of all.

    Args:
        model: a recognizer.
        batches: batches of a loader.

    Returns:
        The number of batch norms.

    Raises:
        DataError: there is no batch.
        NonFiniteError: a layer sees infinity or NaN.
    """
    norms = trained_batch_norms(model)
    moments = [_Moments(norm.weight.shape[0]) for norm in norms]
    num_batches = 0
    with _by_batches(model, norms), _counted(norms, moments), paddle.no_grad():
        for batch in batches:
            model.predict(batch)
            num_batches += 1
    if norms and not num_batches:
        raise DataError("PRECISEBN: there is no batch to take batch norm's statistics from")
    found = [own.mean_and_variance() for own in moments]
    if not all(np.isfinite(values).all() for pair in found for values in pair):
        raise NonFiniteError("PRECISEBN: a layer sees infinity or NaN")
    for norm, (mean, variance) in zip(norms, found, strict=True):
        norm._mean.set_value(mean.astype(norm._mean.numpy().dtype))
        norm._variance.set_value(variance.astype(norm._variance.numpy().dtype))
    return len(norms)


@contextlib.contextmanager
def _by_batches(model: nn.Layer, norms: list[nn.Layer]) -> Iterator[None]:
    """Evaluation mode but for ``norms``, and then each layer's own mode again."""
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    model.eval()
    for norm in norms:
        norm.training = True
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training


@contextlib.contextmanager
def _counted(norms: list[nn.Layer], moments: list[_Moments]) -> Iterator[None]:
    """Count what goes into each layer."""
    hooks = [
        norm.register_forward_pre_hook(lambda _layer, inputs, own=own: own.add(inputs[0]))
        for norm, own in zip(norms, moments, strict=True)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
