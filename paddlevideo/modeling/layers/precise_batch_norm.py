"""PreciseBN: running statistics of batch norm as true means over many batches.

Wu and Johnson, "Rethinking 'Batch' in BatchNorm", arXiv 2105.07576, section 3: a moving average of
training lags behind the weights; the population statistics are those of many batches, all seen with
the same weights, each normalised by its own statistics as in training. Of batch k with n_k values,
mean m_k and biased variance v_k of a channel, in float64:

    mean = sum(n_k m_k) / n,    variance = sum(n_k (v_k + m_k^2)) / n - mean^2,    n = sum(n_k),

and n / (n - 1) times the variance is kept, as running statistics are unbiased here.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from paddle import Tensor, nn

from paddlevideo.modeling.layers.observed_batch_norm import observe, trained_batch_norms


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
    found = observe(model, norms, batches, by_batches=True, purpose="PRECISEBN")
    for norm, (count, mean, variance) in zip(norms, found, strict=True):
        unbiased = variance * count / np.maximum(count - 1.0, 1.0)
        norm._mean.set_value(mean.astype(norm._mean.numpy().dtype))
        norm._variance.set_value(unbiased.astype(norm._variance.numpy().dtype))
    return len(norms)
