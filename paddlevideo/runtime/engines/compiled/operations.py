"""What a compiled program consists of: few operations that do much each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from paddlevideo.runtime.engines.compiled.graph import TensorInfo

Shape = tuple[int, int, int]
"""Channels, rows, columns of one stream's map."""


@dataclass(frozen=True)
class Activation:
    """``clip(alpha x + beta, low, high)``, times x where ``multiply``.

    Hard swish, hard sigmoid, ReLU, ReLU6 and the identity are of this form.
    """

    alpha: float = 1.0
    beta: float = 0.0
    low: float = -float("inf")
    high: float = float("inf")
    multiply: bool = False


IDENTITY = Activation()


@dataclass(frozen=True)
class Operation:
    """One operation on maps.

    Attributes:
        kind: ``dense``, ``convolution``, ``depthwise``, ``weighted_sum``, ``mean``, ``scale``,
            ``average``, ``combine``, ``function``, ``concat``, ``copy``, ``count`` or ``number``.
        inputs: names of maps or constants.
        output: name of the map.
        shape: of the output.
        weights, bias: where the kind has them; as `lowering` lays them out.
        shortcut: a map that is added before the activation.
        gate: one factor for each channel of the input of a product.
        expand: a product that makes the input of a depthwise convolution, and nothing else's.
        options: sizes and the like of the kind.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    shape: Shape
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    shortcut: str | None = None
    gate: str | None = None
    expand: "Operation | None" = None
    activation: Activation = IDENTITY
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def own_weights(self) -> np.ndarray:
        """The weights of an operation that has some."""
        if self.weights is None:
            raise ValueError(f"{self.kind} without weights")
        return self.weights

    @property
    def read(self) -> tuple[str, ...]:
        """All maps it reads."""
        more = (self.shortcut, self.gate)
        return (*self.inputs, *(name for name in more if name is not None))

    def multiply_adds(self, shapes: Mapping[str, Shape]) -> int:
        """Of one stream: those of its weights at every place.

        Args:
            shapes: of the maps.
        """
        pixels = self.shape[1] * self.shape[2]
        own = 0 if self.weights is None else pixels * self.weights.size
        if self.expand is None:
            return own
        _, rows, columns = shapes[self.inputs[0]]
        before = 0 if self.expand.weights is None else self.expand.weights.size
        return own + rows * columns * before

    def named(self, output: str, **changes: Any) -> "Operation":
        """The same with another output, and what else is to change."""
        return replace(self, output=output, **changes)


@dataclass(frozen=True)
class CompiledProgram:
    """Operations in order, and what they read and write.

    Attributes:
        inputs: of the file.
        constants: small operands, by name.
        outputs: names in the file's order, and the maps that hold them.
        shapes: of every map.
        pictures: inputs that are read as they are, [B, C, H, W], by a convolution.
        rows: outputs [B, N].
        counters: maps that hold one integer.
    """

    operations: tuple[Operation, ...]
    inputs: dict[str, TensorInfo]
    constants: dict[str, np.ndarray]
    outputs: dict[str, str]
    shapes: dict[str, Shape]
    pictures: frozenset[str]
    rows: frozenset[str]
    counters: frozenset[str]
