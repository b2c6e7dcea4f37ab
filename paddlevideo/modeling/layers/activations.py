"""Activations by name, with TensorFlow's constants where they differ from Paddle's."""

from collections.abc import Callable

import paddle
import paddle.nn.functional as F
from paddle import Tensor

from paddlevideo.utils.errors import ConfigError, nearest_hint

Activation = Callable[[Tensor], Tensor]


def hard_sigmoid(x: Tensor) -> Tensor:
    """``relu6(x + 3) * 0.16667``: TensorFlow's constant, which saturates at 1.00002."""
    return F.relu6(x + 3.0) * 0.16667


def keras_hard_sigmoid(x: Tensor) -> Tensor:
    """``0.2 x + 0.5`` cut to [0, 1]: the gate of the PyTorch port's stream models."""
    return paddle.clip(x * 0.2 + 0.5, 0.0, 1.0)


def _hard_sigmoid_of_unit_height(x: Tensor) -> Tensor:
    return F.hardsigmoid(x, slope=1.0 / 6.0, offset=0.5)


def _keras_hard_sigmoid_at_once(x: Tensor) -> Tensor:
    return F.hardsigmoid(x, slope=0.2, offset=0.5)


def leaky_relu(x: Tensor) -> Tensor:
    """``x``, and a hundredth of it below zero.

    Not ``F.leaky_relu``: Paddle 3.3's predictor crashes where it fuses that with a convolution.
    """
    return paddle.maximum(x, x * 0.01)


def identity(x: Tensor) -> Tensor:
    """Return the input."""
    return x


ACTIVATIONS: dict[str, Activation] = {
    "swish": F.silu,
    "hard_swish": F.hardswish,
    "sigmoid": F.sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "keras_hard_sigmoid": keras_hard_sigmoid,
    "relu": F.relu,
    "relu6": F.relu6,
    "mish": F.mish,
    "gelu": F.gelu,
    "leaky_relu": leaky_relu,
    "tanh": paddle.tanh,
    "identity": identity,
}


def activation(name: str) -> Activation:
    """Return the activation called ``name``; raise `ConfigError` for an unknown one."""
    try:
        return ACTIVATIONS[name]
    except KeyError:
        raise ConfigError(
            f'unknown activation "{name}"; {nearest_hint(name, ACTIVATIONS)}'
        ) from None


def as_one_operation(name: str) -> tuple[Activation, float]:
    """Return the activation as few operations of an exported program, and a factor still due.

    ``activation(name)(x)`` is the one applied to ``x``, times the factor: TensorFlow's
    `hard_sigmoid` is 1.00002 times the usual one, which engines know as a single operation.
    """
    if name == "hard_sigmoid":
        return _hard_sigmoid_of_unit_height, 6.0 * 0.16667
    if name == "keras_hard_sigmoid":
        return _keras_hard_sigmoid_at_once, 1.0
    if name == "swish":
        return F.swish, 1.0  # the same; oneDNN makes it part of a convolution, but not silu
    return activation(name), 1.0
