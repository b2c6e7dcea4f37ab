"""Who makes which tensor, with the steps left out that only give a value another form."""

from collections.abc import Container

import numpy as np

from paddlevideo.convert.tflite.model import Model
from paddlevideo.convert.tflite.operations import Operation
from paddlevideo.utils.damage import shown

# Steps whose result is their first input: in other numbers, in another shape, or (a running sum)
# the same for one frame.
_SAME_VALUE = ("quantize", "dequantize", "cast", "reshape", "squeeze", "expand_dims", "cumsum")


class Graph:
    """A network as operations on values: a value is the tensor that it was first.

    Attributes:
        operations: those that make a new value, in order.
        used: operations that a reader of the network has recognised, by their indices.

    Raises:
        ValueError: an operation reads what is made later, or two make the same tensor.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.operations: list[Operation] = []
        self._value = list(range(len(model.tensors)))
        self._makers: dict[int, int] = {}
        self.used: set[int] = set()
        self._inputs = set(model.inputs)
        known = set(model.inputs)
        for operation in model.operations:
            self._add(operation, known)

    def _add(self, operation: Operation, known: set[int]) -> None:
        for number in operation.inputs:
            if number >= 0 and number not in known and not self.model.is_constant(number):
                raise ValueError(f"{self.name(number)} is read before it is made")
        for number in operation.outputs:
            if number in known or self.model.is_constant(number):
                raise ValueError(f"{self.name(number)} is made twice")
            known.add(number)
        if operation.kind in _SAME_VALUE and self._keeps_channels(operation):
            self._value[operation.outputs[0]] = self._value[operation.inputs[0]]
            return
        for number in operation.outputs:
            self._makers[number] = len(self.operations)
        self.operations.append(operation)

    def _keeps_channels(self, operation: Operation) -> bool:
        """Whether the last axis of a step's input is that of its one output."""
        if not operation.inputs or operation.inputs[0] < 0 or len(operation.outputs) != 1:
            return False
        before, after = self.shape(operation.inputs[0]), self.shape(operation.outputs[0])
        return self.is_constant(operation.inputs[0]) or before[-1:] == after[-1:]

    def value(self, number: int) -> int:
        """The tensor that ``number`` was first; -1 for an input that is left out."""
        return self._value[number] if number >= 0 else -1

    def index(self, number: int) -> int | None:
        """The index in ``operations`` of the one that makes a value."""
        return self._makers.get(self.value(number))

    def maker(self, number: int) -> Operation | None:
        """The operation that makes a value; None for constants and inputs."""
        index = self.index(number)
        return None if index is None else self.operations[index]

    def use(self, number: int) -> Operation:
        """The operation that makes a value, which is recognised from now on."""
        index = self.index(number)
        if index is None:
            raise ValueError(f"{self.name(number)} is made by no operation")
        self.used.add(index)
        return self.operations[index]

    def is_input(self, number: int) -> bool:
        """Whether a value is handed to the network."""
        return self.value(number) in self._inputs

    def is_constant(self, number: int) -> bool:
        """Whether the file holds a value."""
        return number >= 0 and self.model.is_constant(self.value(number))

    def constant(self, number: int) -> np.ndarray:
        """A value that the file holds, float32, in the shape that ``number`` has."""
        return self.model.values(self.value(number)).reshape(self.shape(number))

    def shape(self, number: int) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self.model.tensors[number].shape

    def name(self, number: int) -> str:
        """The name of a tensor, for a message."""
        return shown(self.model.tensors[number].name or f"tensor {number}") if number >= 0 else "-"

    def left_over(self, kinds: Container[str]) -> list[Operation]:
        """Operations that nobody recognised: those that lead to used ones, and all of ``kinds``."""
        needed = set(self.used)
        for index in reversed(range(len(self.operations))):
            operation = self.operations[index]
            if operation.kind in kinds:
                needed.add(index)
            if index in needed:
                makers = (self.index(number) for number in operation.inputs if number >= 0)
                needed.update(maker for maker in makers if maker is not None)
        return [self.operations[index] for index in sorted(needed - self.used)]
