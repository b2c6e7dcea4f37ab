"""Activation checkpointing: forget what a layer's backward pass needs, and compute it again there.

Memory for time: a training step keeps the inputs of such layers instead of every tensor inside.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import paddle
from paddle import Tensor, nn
from paddle.distributed.fleet.utils import recompute


class _Run:
    """One forward pass of a layer, and its repetition during the backward pass."""

    def __init__(self, layer: nn.Layer) -> None:
        self.layer = layer
        self.is_repetition = False

    def __call__(self, x: Tensor, *_: Tensor) -> Tensor:
        if self.is_repetition:
            with _running_statistics_kept(self.layer):
                return self.layer(x)
        self.is_repetition = True
        return self.layer(x)


def run_with_recompute(layer: nn.Layer, x: Tensor) -> Tensor:
    """Return ``layer(x)``; what its backward pass needs is computed again when it is needed.

    Loss, gradients, running statistics and random numbers are those of ``layer(x)``: the second
    run starts from the first one's random state and leaves batch norm's running statistics alone.
    """
    # Paddle warns of a layer none of whose arguments needs a gradient; behind frozen ones the
    # input does not, but the parameters do: one of them is an argument too.
    trained = [parameter for parameter in layer.parameters() if not parameter.stop_gradient]
    return recompute(_Run(layer), x, *trained[:1], use_reentrant=False)


@contextmanager
def _running_statistics_kept(layer: nn.Layer) -> Iterator[None]:
    """Give batch norm the running statistics back that it had before."""
    norms = [part for part in layer.sublayers() if isinstance(part, nn.layer.norm._BatchNormBase)]
    tensors = [tensor for norm in norms for tensor in (norm._mean, norm._variance)]
    with paddle.no_grad():
        before = [tensor.clone() for tensor in tensors]
    yield
    with paddle.no_grad():
        for tensor, value in zip(tensors, before, strict=True):
            tensor.set_value(value)
