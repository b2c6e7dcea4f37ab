"""Batch norm put back into a folded network, so that it can be trained.

In a folded network (a file for deployment) batch norm is part of the convolutions; here its layers
then have mean 0 and variance 1. Training normalises by the statistics of the batch, so the network
would be another at the first step. With the mean and variance of what goes into each batch norm as
its running statistics, and weight and bias changed against them, the function is the same in
evaluation, and nearly so in training.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.distributed import all_reduce_sum
from paddlevideo.utils.errors import DataError, NonFiniteError

_KINDS = (nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D)
_TOLERANCE = 0.01  # of the variance 1 of a folded layer


class _Moments:
    """Number, sum and sum of squares of the values of each channel."""

    def __init__(self, channels: int) -> None:
        self.sums = np.zeros((3, channels))

    def add(self, x: Tensor) -> None:
        """Count the values of [B, C, ...]."""
        for sample in x.astype("float32").numpy():
            values = sample.reshape(sample.shape[0], -1)
            mean = values.mean(axis=1, dtype=np.float64)
            spread = values.var(axis=1, dtype=np.float64)
            self.sums += values.shape[1] * np.stack([np.ones_like(mean), mean, spread + mean**2])

    def mean_and_variance(self) -> tuple[np.ndarray, np.ndarray]:
        """[C] each, over all processes."""
        count, total, squares = all_reduce_sum(self.sums)
        mean = total / count
        return mean, np.maximum(squares / count - mean**2, 0.0)


def trained_batch_norms(model: nn.Layer) -> list[nn.Layer]:
    """Return the batch norms of ``model`` that are not frozen."""
    return [
        layer
        for layer in model.sublayers(include_self=True)
        if isinstance(layer, _KINDS) and not layer.weight.stop_gradient
    ]


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
    moments = [_Moments(norm.weight.shape[0]) for norm in norms]
    num_batches = 0
    with _evaluated(model), _counted(norms, moments), paddle.no_grad():
        for batch in batches:
            if isinstance(batch, Mapping):
                model.predict(batch)
            else:
                model(batch)
            num_batches += 1
    if not num_batches:
        raise DataError("there is no clip to put batch norm's statistics back from")
    found = [own.mean_and_variance() for own in moments]
    if not all(np.isfinite(values).all() for pair in found for values in pair):
        raise NonFiniteError("batch norm cannot be put back: a layer sees infinity or NaN")
    for norm, (mean, variance) in zip(norms, found, strict=True):
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


@contextlib.contextmanager
def _evaluated(model: nn.Layer) -> Iterator[None]:
    """Evaluation mode, and then each layer's own mode again."""
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    model.eval()
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
