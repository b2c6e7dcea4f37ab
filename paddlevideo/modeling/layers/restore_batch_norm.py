"""Batch norm put back into a folded network, so that it can be trained.

In a folded network (a file for deployment) batch norm is part of the convolutions; here its layers
then have mean 0 and variance 1. Training normalises by the statistics of the batch, so the network
would be another at the first step. With the mean and variance of what goes into each batch norm as
its running statistics, and weight and bias changed against them, the function is the same in
evaluation, and nearly so in training.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from paddle import Tensor, nn

from paddlevideo.modeling.layers.observed_batch_norm import observe, trained_batch_norms

_TOLERANCE = 0.01  # of the variance 1 of a folded layer


def is_folded(model: nn.Layer) -> bool:
    """Whether all batch norms that are not frozen are those of a folded network.

    They have mean 0 and variance 1, and not all biases are 0: a new network is alike
    in that, but it has learnt nothing yet.
    """
    norms = trained_batch_norms(model)
    return (
        bool(norms)
        and all(
            not norm._mean.numpy().any()
            and np.allclose(norm._variance.numpy(), 1.0, rtol=0.0, atol=_TOLERANCE)
            for norm in norms
        )
        and any(norm.bias.numpy().any() for norm in norms)
    )


def restore_batch_norm(model: nn.Layer, batches: Iterable[Tensor | Mapping[str, Tensor]]) -> int:
    """Give batch norm the mean and variance of what it sees of ``batches``; keep the function.

    Every layer's product and sum in evaluation mode stay what they are, so that logits differ by
    rounding only (some 1e-7 of the largest). Frozen layers are left as they are. Modes (training or
    evaluation) are as before afterwards. With several processes the statistics are those of the
    batches of all, which must be as many in each.

    Args:
        model: a recognizer, or any network with batch norm.
        batches: batches of a loader (given to ``model.predict``), or clips (given to ``model``).

    Returns:
        The number of batch norms.

    Raises:
        DataError: there is no batch.
        NonFiniteError: a layer sees infinity or NaN.
    """
    norms = trained_batch_norms(model)
    purpose = "batch norm cannot be put back"
    found = observe(model, norms, batches, by_batches=False, purpose=purpose)
    for norm, (_, mean, variance) in zip(norms, found, strict=True):
        _set_running_statistics(norm, mean, variance)
    return len(norms)


def _set_running_statistics(norm: nn.Layer, mean: np.ndarray, variance: np.ndarray) -> None:
    """Set the running statistics, and weight and bias so that product and sum stay the same."""
    old_weight, old_bias, old_mean, old_variance = (
        tensor.numpy().astype(np.float64)
        for tensor in (norm.weight, norm.bias, norm._mean, norm._variance)
    )
    product = old_weight / np.sqrt(old_variance + norm._epsilon)
    new = {
        norm.weight: product * np.sqrt(variance.astype(np.float32) + norm._epsilon),
        norm.bias: old_bias + product * (mean.astype(np.float32) - old_mean),
        norm._mean: mean,
        norm._variance: variance,
    }
    for tensor, values in new.items():
        tensor.set_value(values.astype(np.float32).astype(tensor.numpy().dtype))
