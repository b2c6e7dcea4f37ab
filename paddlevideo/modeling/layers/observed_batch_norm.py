"""What goes into the batch norms of a network, counted while it runs: number, mean, variance.

Restoring a folded network (`restore_batch_norm`) and PreciseBN (`precise_batch_norm`) set running
statistics by it.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.distributed import all_reduce_sum
from paddlevideo.utils.errors import DataError, NonFiniteError

_KINDS = (nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D)


def trained_batch_norms(model: nn.Layer) -> list[nn.Layer]:
    """Return the batch norms of ``model`` that are not frozen."""
    return [
        layer
        for layer in model.sublayers(include_self=True)
        if isinstance(layer, _KINDS) and not layer.weight.stop_gradient
    ]


class Moments:
    """Number, sum and sum of squares of the values of each channel, float64, on the device."""

    def __init__(self, channels: int) -> None:
        self.sums = paddle.zeros([3, channels], "float64")

    def add(self, x: Tensor) -> None:
        """Count the values of [B, C, ...]."""
        x = x.detach().astype("float64")
        axes = [axis for axis in range(x.ndim) if axis != 1]
        mean, variance = x.mean(axes), x.var(axes, unbiased=False)
        num_values = float(x.size // x.shape[1])
        terms = paddle.stack([paddle.ones_like(mean), mean, variance + mean * mean])
        self.sums = self.sums + num_values * terms

    def over_all_processes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Number, mean and biased variance, float64 [C] each."""
        count, total, squares = all_reduce_sum(self.sums.numpy())
        mean = total / count
        return count, mean, np.maximum(squares / count - mean**2, 0.0)


def observe(
    model: nn.Layer,
    norms: Sequence[nn.Layer],
    batches: Iterable[Tensor | Mapping[str, Tensor]],
    by_batches: bool,
    purpose: str,
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Run ``model`` on batches; return number, mean and biased variance of each norm's input.

    The model is in evaluation mode meanwhile and has its modes again afterwards. With several
    processes the values are those of the batches of all, which must be as many in each.

    Args:
        norms: layers of the model.
        batches: batches of a loader (given to ``model.predict``), or clips (given to ``model``).
        by_batches: whether ``norms`` normalise by each batch's own values, as in training.
        purpose: what it is for, for messages.

    Raises:
        DataError: there is no batch.
        NonFiniteError: a layer sees infinity or NaN.
    """
    moments = [Moments(norm.weight.shape[0]) for norm in norms]
    num_batches = 0
    with _modes_kept(model), _counted(norms, moments), paddle.no_grad():
        model.eval()
        for norm in norms:
            norm.training = by_batches
        for batch in batches:
            if isinstance(batch, Mapping):
                model.predict(batch)
            else:
                model(batch)
            num_batches += 1
    if not num_batches:
        raise DataError(f"{purpose}: there is no clip to take batch norm's statistics from")
    found = [own.over_all_processes() for own in moments]
    if not all(np.isfinite(values).all() for triple in found for values in triple):
        raise NonFiniteError(f"{purpose}: a layer sees infinity or NaN")
    return found


@contextlib.contextmanager
def _modes_kept(model: nn.Layer) -> Iterator[None]:
    """Give each layer its own mode again."""
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training


@contextlib.contextmanager
def _counted(norms: Sequence[nn.Layer], moments: Sequence[Moments]) -> Iterator[None]:
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
