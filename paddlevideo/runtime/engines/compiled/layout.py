"""Where the maps, the operands and the lists of a program lie, before their table is filled."""

from typing import Protocol

import numpy as np

from paddlevideo.runtime.engines.compiled.access import SLACK
from paddlevideo.runtime.engines.compiled.operations import CompiledProgram, Operation, Shape
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES, LINE_BYTES

_FLOATS_OF_SLACK = SLACK // FLOAT_BYTES


class Pool(Protocol):
    """Memory that begins with a cache line."""

    def zeros(self, count: int) -> np.ndarray:
        """An array of ``count`` floats."""
        ...


class Layout:
    """Slots of maps, addresses of operands, lists of integers.

    Args:
        program: whose maps they are.
        shapes: of all its maps, by name.
        pool: gives the memory of operands.
        parts: threads that share an operation; each has memory of its own to work in.
    """

    def __init__(
        self, program: CompiledProgram, shapes: dict[str, Shape], pool: Pool, parts: int
    ) -> None:
        self.program = program
        self.parts = parts
        self.shapes = shapes
        self.slots: dict[str, int] = {}
        self.strides: list[int] = []
        self.fixed: list[int] = []
        self.lists: list[int] = []
        self.keep: list[np.ndarray] = []
        self.kept_bytes: dict[int, int] = {}
        self.pool = pool
        self.lives: dict[int, list[int]] = {}
        self.sizes: dict[int, int] = {}
        self.frames = -1  # slot of their addresses
        self.index = 0  # of the operation at hand

    def _slot(self, name: str, size: int) -> int:
        if name not in self.slots:
            self.slots[name] = len(self.strides)
            self.strides.append(size)
            self.fixed.append(0)
            self.sizes[self.slots[name]] = size
        return self.slots[name]

    def _map(self, name: str) -> int:
        """The slot of a map that the operation at hand reads or writes."""
        slot = self._slot(name, 0 if name in self.program.constants else self._map_bytes(name))
        self.lives.setdefault(slot, []).append(self.index)
        return slot

    def _map_bytes(self, name: str) -> int:
        """Of one stream's map."""
        size = map_bytes(self.shapes[name])
        return size // FLOAT_BYTES if name in self.program.ranges else size

    def _kept(self, array: np.ndarray) -> int:
        """The address of a copy of ``array`` that stays, with slack after it."""
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        bits = np.frombuffer(array.tobytes(), np.uint8)
        padded = self.pool.zeros(-(-bits.size // FLOAT_BYTES) + _FLOATS_OF_SLACK)
        padded.view(np.uint8)[: bits.size] = bits
        self.keep.append(padded)
        self.kept_bytes[padded.ctypes.data] = bits.size
        return padded.ctypes.data

    def _listed(self, numbers: list[int]) -> int:
        start = len(self.lists)
        self.lists += numbers
        return start

    def _window(self, row: np.void, operation: Operation) -> tuple[int, int, int]:
        """Columns of what moves over a map; channels and padded size of the map."""
        channels, rows, columns = self.shapes[operation.inputs[0]]
        top, left, bottom, right = operation.options["pads"]
        row["in_channels"], row["rows"], row["columns"] = channels, rows, columns
        row["top"], row["left"], row["bottom"], row["right"] = operation.options["pads"]
        row["kernel"] = operation.options["kernel"]
        row["stride"] = operation.options["stride"]
        return channels, top + rows + bottom, left + columns + right

    def _scratch(self, row: np.void, floats: int) -> None:
        row["scratch"], row["scratch_step"] = self._own("scratch", floats * FLOAT_BYTES)

    def _own(self, use: str, size: int) -> tuple[int, int]:
        """The slot of memory that the operation at hand alone uses, and bytes for each thread."""
        if self.parts > 1:
            size = -(-size // LINE_BYTES) * LINE_BYTES
        slot = self._slot(f"{use}:{self.index}", size * self.parts)
        self.lives[slot] = [self.index]
        return slot, size

    def _size_of(self, name: str) -> int:
        constant = self.program.constants.get(name)
        if constant is None:
            return int(np.prod(self.shapes[name]))
        return constant.size // self.program.frames_of(name)


def map_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of a map in float32, its channels padded."""
    return int(np.prod(shape)) * FLOAT_BYTES
