"""The states of a causal network: explicit arguments and results, never hidden buffers.

A layer asks `StateExchange` for its old state by name and hands in the new one. The names are
TensorFlow's (docs/movinet.md); frame counters are int32 [B], one per stream of the batch, so
that one stream can start anew alone.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import paddle
from paddle import Tensor

States = OrderedDict[str, Tensor]


@dataclass(frozen=True)
class StateSpec:
    """Name, shape of one stream (without the batch axis) and dtype of one state."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"

    def zeros(self, batch_size: int) -> Tensor:
        """The state of streams that have seen nothing."""
        return paddle.zeros([batch_size, *self.shape], dtype=self.dtype)


@dataclass(frozen=True)
class QueueSpec:
    """One state of an exported step: a queue of ``length`` tensors, the oldest first.

    A step takes them all and gives the newest; the host moves the others up by one position,
    which costs nothing. A state of one tensor is a queue of length 1.
    """

    name: str
    length: int
    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def input_names(self) -> list[str]:
        """Names of the program's inputs, the oldest first."""
        if self.length == 1:
            return [self.name]
        return [f"{self.name}_{index}" for index in range(self.length)]

    @property
    def output_name(self) -> str:
        """Name of the program's output."""
        return f"new_{self.name}"


class StateExchange:
    """Old states in, new states out, by name, during one call of the network."""

    def __init__(self, old: Mapping[str, Tensor]) -> None:
        self._old = old
        self.new: States = OrderedDict()

    def take(self, name: str) -> Tensor:
        """The state as the last call left it."""
        return self._old[name]

    def put(self, name: str, value: Tensor) -> None:
        """The state as this call leaves it."""
        self.new[name] = value
