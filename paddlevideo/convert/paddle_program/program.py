"""The ``.json`` file of a program: its operations, who reads whose result, and its parameters."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddlevideo.convert.paddle_program.params import read_params
from paddlevideo.utils.damage import damage_of, read_bounded
from paddlevideo.utils.limits import limit
from paddlevideo.utils.nodes import ReadNode

WHAT = "a program of Paddle"

_PARAMETER = "p"
_SAME_VALUES = ("reshape", "cast")  # operations that change how values are stored, not what


@dataclass(frozen=True)
class Operation:
    """One operation; values are known by their numbers.

    Attributes:
        kind: Paddle's name, such as ``conv2d``.
        attributes: plain values, and lists of them.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: ReadNode


class Program:
    """A program and its parameters.

    Attributes:
        shapes: of the values that are tensors; -1 is any size.
        arrays: values of the parameters, by number.
        used: numbers of the parameters that were asked for (`array`).
    """

    def __init__(
        self,
        operations: list[Operation],
        shapes: Mapping[int, tuple[int, ...]],
        arrays: Mapping[int, np.ndarray],
    ) -> None:
        self.shapes, self.arrays = shapes, arrays
        self.used: set[int] = set()
        self._operations = operations
        self._makers = {
            number: operation for operation in operations for number in operation.outputs
        }

    def source(self, number: int) -> int:
        """The value that was reshaped and cast into this one; itself, where none was."""
        maker = self._makers.get(number)
        while maker is not None and maker.kind in _SAME_VALUES:
            number = maker.inputs[0]
            maker = self._makers.get(number)
        return number

    def maker(self, number: int, *kinds: str) -> Operation | None:
        """The operation that computes a value, if it is of one of these kinds."""
        found = self._makers.get(self.source(number))
        return found if found is not None and (not kinds or found.kind in kinds) else None

    def is_parameter(self, number: int) -> bool:
        """Whether a value is a parameter's."""
        return self.source(number) in self.arrays

    def array(self, number: int) -> np.ndarray:
        """A parameter in its own shape, float32; it has a use now."""
        source = self.source(number)
        self.used.add(source)
        return self.arrays[source].astype(np.float32)

    def input_name(self, number: int) -> str | None:
        """The name of the program's input that a value is; None for another."""
        maker = self.maker(number, "data")
        return None if maker is None else maker.attributes["name"]

    def constant(self, number: int) -> float | list[int]:
        """A number, or a list of whole ones, that the program itself states."""
        maker = self._makers.get(number)
        if maker is None or maker.kind not in ("full", "full_int_array"):
            raise ValueError("a number that should be fixed is computed")
        return maker.attributes["value"]

    def result(self, position: int) -> int:
        """What the program gives at one position of its results."""
        for operation in self._operations:
            if operation.kind == "fetch" and operation.attributes["col"] == position:
                return operation.inputs[0]
        raise ValueError(f"it gives no result {position}")

    def needed(self, number: int) -> Iterator[int]:
        """The parameters and inputs that a value is computed from."""
        seen, waiting = set(), [number]
        while waiting:
            value = waiting.pop()
            if value in seen:
                continue
            seen.add(value)
            maker = self._makers.get(value)
            if value in self.arrays or (maker is not None and maker.kind == "data"):
                yield value
            elif maker is not None:
                waiting += maker.inputs

    def unused(self) -> list[int]:
        """The parameters that nobody asked for."""
        return [number for number in self.arrays if number not in self.used]


def read_program(program: Path, params: Path) -> Program:
    """Read a program and its parameters.

    Raises:
        WeightsError: a file is missing or damaged, or they are not of one program.
    """
    text = read_bounded(program, int(limit("program_bytes")))
    with damage_of(program, WHAT):
        items = json.loads(text)["program"]["regions"][0]["blocks"][0]["ops"]
        operations: list[Operation] = []
        shapes: dict[int, tuple[int, ...]] = {}
        names: dict[int, str] = {}
        known: set[int] = set()
        for item in items:
            results = item.get("O") or []
            results = results if isinstance(results, list) else [results]
            outputs = tuple(result["%"] for result in results)
            if item["#"] == _PARAMETER:
                names[outputs[0]] = str(item["A"][3])
            else:
                operations.append(_operation(item, outputs, known))
            if known & set(outputs):
                raise ValueError("two operations have one result")
            known |= set(outputs)
            shapes.update(_shapes(results))
        expected = {name: shapes[number] for number, name in names.items()}
        if len(expected) != len(names):
            raise ValueError("two of its parameters have one name")
    arrays = read_params(params, expected)
    return Program(operations, shapes, {number: arrays[name] for number, name in names.items()})


def _operation(item: ReadNode, outputs: tuple[int, ...], known: set[int]) -> Operation:
    inputs = tuple(value["%"] for value in item.get("I") or [])
    if not known.issuperset(inputs):
        raise ValueError("an operation reads what was not computed before it")
    attributes = {entry["N"]: _plain(entry["AT"].get("D")) for entry in item.get("A") or []}
    return Operation(str(item["#"]).rpartition(".")[2], inputs, outputs, attributes)


def _plain(value: object) -> object:
    """An attribute; the elements of a list carry their types."""
    if isinstance(value, list):
        return [entry.get("D") if isinstance(entry, dict) else entry for entry in value]
    return value


def _shapes(results: list[ReadNode]) -> Iterator[tuple[int, tuple[int, ...]]]:
    for result in results:
        kind = result["TT"]
        if str(kind["#"]).endswith("dtensor"):
            yield result["%"], tuple(int(size) for size in kind["D"][1])
