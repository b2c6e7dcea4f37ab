"""Activations by name, with TensorFlow's constants where they differ from Paddle's."""

from collections.abc import Callable

import paddle
import paddle.nn.functional as F
from paddle import Tensor

from paddlevideo.utils.errors import ConfigError, nearest_hint

Activation = Callable[[Tensor], Tensor]


def hard_sigmoid(x: Tensor) -> Tensor:
    """``relu6(x + 3) * 0.16667``: TF's constant, which saturates at 1.00002 (spec section 2.4)."""
    return F.relu6(x + 3.0) * 0.16667


def keras_hard_sigmoid(x: Tensor) -> Tensor:
    """``0.2 x + 0.5`` cut to [0, 1]: the gate of the PyTorch port's stream models."""
    return paddle.clip(x * 0.2 + 0.5, 0.0, 1.0)


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
    "leaky_relu": F.leaky_relu,
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
