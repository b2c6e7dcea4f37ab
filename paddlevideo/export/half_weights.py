"""Weights stored as float16 in a program of Paddle that computes in float32.

The program casts each weight back. Paddle Inference folds the casts when it loads the program, so
that a run costs what it did.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import paddle
from paddle import Tensor, nn

_LARGEST = float(np.finfo(np.float16).max)


def fits_half(array: np.ndarray) -> bool:
    """Whether every value is within float16's range."""
    return bool(np.isfinite(array).all() and np.abs(array).max(initial=0.0) <= _LARGEST)


class HalfWeights(nn.Layer):
    """A layer whose float32 parameters are stored as float16 and cast back before it computes.

    Buffers stay as they are (they are few), and parameters beyond float16's range.

    Args:
        layer: is not changed.
    """

    def __init__(self, layer: nn.Layer) -> None:
        super().__init__()
        # Not as a sublayer: its own parameters would be written too.
        object.__setattr__(self, "_layer", layer)
        self.stored = nn.ParameterList()
        self._owners: list[tuple[nn.Layer, str, int]] = []
        positions: dict[int, int] = {}  # a parameter that two layers share is stored once
        for owner in layer.sublayers(include_self=True):
            for name, parameter in owner._parameters.items():
                if parameter is None or parameter.dtype != paddle.float32:
                    continue
                if not fits_half(parameter.numpy()):
                    continue
                if id(parameter) not in positions:
                    positions[id(parameter)] = len(self.stored)
                    self.stored.append(_half_of(parameter))
                self._owners.append((owner, name, positions[id(parameter)]))

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the layer gives."""
        with self._cast_back():
            return self._layer(*inputs)

    @contextmanager
    def _cast_back(self) -> Iterator[None]:
        whole = [paddle.cast(parameter, "float32") for parameter in self.stored]
        originals = [owner._parameters[name] for owner, name, _ in self._owners]
        # Into the layers' own tables: lists of parameters look nowhere else.
        for owner, name, position in self._owners:
            owner._parameters[name] = whole[position]
        try:
            yield
        finally:
            for (owner, name, _), original in zip(self._owners, originals, strict=True):
                owner._parameters[name] = original


def _half_of(parameter: Tensor) -> Tensor:
    made = paddle.create_parameter(parameter.shape, "float16")
    made.set_value(parameter.numpy().astype(np.float16))
    return made
