"""`CompiledRows`: the states of many streams at fixed places, read and written there."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddlevideo.runtime.engines.base import StreamRows
from paddlevideo.runtime.engines.compiled.memory import new_block
from paddlevideo.runtime.engines.compiled.tensor import laid_out
from paddlevideo.utils.eight_bits import Range
from paddlevideo.utils.errors import BundleError

_FLOAT_BYTES = 4
_LINE_BYTES = 64  # a cache line

_Map = tuple[tuple[int, ...], np.dtype, Range | None]
"""Shape of one stream's map, dtype (all have 4 bytes, but for the frame), range of what is kept on
8 bits."""


@dataclass(frozen=True)
class RowLayout:
    """What a row holds.

    Attributes:
        frame: the input that is no state.
        logits: the output that is returned.
        queues: inputs of each state, from the oldest to the newest, by the output that is pushed.
        maps: of one stream, inputs, then outputs, in the order in which the engine takes addresses.
        num_rows: places for streams.
    """

    frame: str
    logits: str
    queues: Mapping[str, Sequence[str]]
    maps: Mapping[str, _Map]
    num_rows: int

    @property
    def names(self) -> list[str]:
        """Inputs, then outputs."""
        return list(self.maps)

    def num_bytes(self, name: str) -> int:
        """Of one stream's map, which is no frame."""
        shape, _, range_ = self.maps[name]
        return math.prod(shape) * (_FLOAT_BYTES if range_ is None else 1)

    def zero_of(self, name: str) -> int:
        """What stands for zero."""
        range_ = self.maps[name][2]
        return 0 if range_ is None else range_.zero_point

    def dtype_of(self, name: str) -> type[np.generic]:
        """What a row keeps a map as."""
        return np.float32 if self.maps[name][2] is None else np.uint8


class CompiledRows(StreamRows):
    """Rows in one block of memory.

    A queue of n tensors has n + 1 places, each with all rows one behind the other. A step writes
    the newest to the place that the queue does not use, whose turn it then is; the oldest one's is
    free for the next step. So nothing is allocated, copied or moved, and the states before a step
    are whole until the next one.

    Args:
        path: of the program, for messages.
        slack: floats that may be read behind a map.
        run: computes; it takes the addresses of the first row's maps in the layout's order, and the
            frames, whose own addresses it fills in.
    """

    def __init__(
        self,
        layout: RowLayout,
        path: Path,
        slack: int,
        run: Callable[[np.ndarray, Sequence[np.ndarray]], None],
    ) -> None:
        self._layout, self._path, self._run = layout, path, run
        input_of = {name: output for output, names in layout.queues.items() for name in names}
        places = {output: len(names) + 1 for output, names in layout.queues.items()}
        held = [name for name in layout.maps if name not in input_of and name != layout.frame]
        starts, total = self._starts(held, places)
        block = new_block(total + slack * _FLOAT_BYTES).view(np.uint8)
        self.num_bytes = block.nbytes
        # [places, rows, numbers], of each output.
        self._views: dict[str, np.ndarray] = {}
        for name in held:
            shape = (places.get(name, 1), layout.num_rows, layout.num_bytes(name))
            part = block[starts[name] : starts[name] + math.prod(shape)]
            self._views[name] = part.reshape(shape).view(layout.dtype_of(name))
        self._queues = {output: self._views[output] for output in layout.queues}
        self._fill_numbers(input_of, places)
        for output, view in self._queues.items():
            if layout.zero_of(output):  # the block is zeros, which cost nothing until written to
                view[:] = layout.zero_of(output)

    def _starts(self, held: Sequence[str], places: Mapping[str, int]) -> tuple[dict[str, int], int]:
        """Where each output's places begin, in bytes, and the end of all."""
        starts, at = {}, 0
        for name in held:
            starts[name] = at
            size = places.get(name, 1) * self._layout.num_rows * self._layout.num_bytes(name)
            at += -(-size // _LINE_BYTES) * _LINE_BYTES
        return starts, at

    def _fill_numbers(self, input_of: Mapping[str, str], places: Mapping[str, int]) -> None:
        """Of each map: its address, its place at turn 0, how many places, bytes to the next."""
        layout, names = self._layout, self._layout.names
        self._addresses: np.ndarray = np.zeros(len(names), np.int64)
        self._first: np.ndarray = np.zeros(len(names), np.int64)
        self._counts: np.ndarray = np.ones(len(names), np.int64)
        self._sizes: np.ndarray = np.zeros(len(names), np.int64)
        self._moves: np.ndarray = np.zeros(len(names), np.int64)
        for index, name in enumerate(names):
            if name == layout.frame:
                continue
            output = input_of.get(name, name)
            queue = layout.queues.get(output, ())
            self._addresses[index] = self._views[output].ctypes.data
            self._first[index] = queue.index(name) if name in input_of else len(queue)
            self._counts[index] = places.get(output, 1)
            self._moves[index] = layout.num_bytes(output)
            self._sizes[index] = self._moves[index] * layout.num_rows

    def step(self, first: int, last: int, turn: int, frames: Sequence[np.ndarray]) -> np.ndarray:
        """As `StreamRows.step`."""
        self._check_frames(frames, last - first)
        places = (self._first + turn) % self._counts
        self._run(self._addresses + places * self._sizes + first * self._moves, frames)
        return self._views[self._layout.logits][0, first:last].copy()

    def clear(self, row: int) -> None:
        """As `StreamRows.clear`."""
        for output, view in self._queues.items():
            view[:, row] = self._layout.zero_of(output)

    def swap(self, row: int, other: int) -> None:
        """As `StreamRows.swap`."""
        for view in self._queues.values():
            kept = view[:, row].copy()
            view[:, row] = view[:, other]
            view[:, other] = kept

    def change_turn(self, row: int, turn: int, new_turn: int) -> None:
        """As `StreamRows.change_turn`."""
        for view in self._queues.values():
            count = len(view)
            shift = (new_turn - turn) % count
            if shift:
                view[:, row] = view[(np.arange(count) - shift) % count, row]

    def load(self, states: Mapping[str, np.ndarray]) -> None:
        """As `StreamRows.load`."""
        for output, names in self._layout.queues.items():
            for place, name in enumerate(names):
                array = states[name]
                self._check(name, array, self._layout.num_rows)
                memory = laid_out(array, 0, self._layout.maps[name][2])
                kept = self._queues[output][place]
                kept[:] = memory.view(kept.dtype)[: kept.size].reshape(kept.shape)

    def _check_frames(self, frames: Sequence[np.ndarray], count: int) -> None:
        name = self._layout.frame
        shape, dtype, _ = self._layout.maps[name]
        if len(frames) != count:
            raise BundleError(f"{self._path} cannot step {count} rows with {len(frames)} frames")
        for frame in frames:
            if frame.shape != shape or frame.dtype != dtype:
                raise BundleError(
                    f"{self._path} cannot run on {name} {list(frame.shape)} {frame.dtype}; it is "
                    f"for {list(shape)} {dtype}"
                )

    def _check(self, name: str, array: np.ndarray, batch: int) -> None:
        shape, dtype, _ = self._layout.maps[name]
        if array.shape != (batch, *shape) or array.dtype != dtype:
            raise BundleError(
                f"{self._path} cannot run on {name} {list(array.shape)} {array.dtype}; it is for "
                f"{[batch, *shape]} {dtype}"
            )
