"""Run a program with guards round every map, each operation held against a plain one.

``PADDLEVIDEO_CHECK=1`` makes the compiled engine run so, some hundred times slower: for a new
network, a new processor, or a doubt. A guard holds numbers that are none (NaN). What is read from
one shows in the result, what is written into one is found there.
"""

import ctypes
import logging
import math
import os
from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from paddlevideo.runtime.engines.compiled.access import SLACK
from paddlevideo.runtime.engines.compiled.assembly import Assembly
from paddlevideo.runtime.engines.compiled.clip_lowering import WITH_ZEROS, has_single_pixel
from paddlevideo.runtime.engines.compiled.guarded_clip import GuardedClip
from paddlevideo.runtime.engines.compiled.operations import CompiledProgram, Operation
from paddlevideo.runtime.engines.compiled.reference import reference
from paddlevideo.runtime.engines.compiled.rounding_bound import rounding_bound
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES
from paddlevideo.runtime.engines.compiled.stages import ALONE
from paddlevideo.runtime.engines.compiled.table import Code
from paddlevideo.utils.eight_bits import LEVELS
from paddlevideo.utils.errors import ConfigError, shown

logger = logging.getLogger(__name__)

CHECK_VARIABLE = "PADDLEVIDEO_CHECK"
_GUARD_FLOATS = 1024
_LINE_FLOATS = 16  # a cache line
_WRITTEN = ("output", "rounded", "sums", "pairs")
_SLACK = SLACK // FLOAT_BYTES
_TOLERANCE = 1e-4  # of the largest value
_RARE = 0.02  # of a map, what may be rounded to the other side


class CompiledCheckError(RuntimeError):
    """The compiled engine read or wrote beyond a map, or computed something else."""


def _guard_bits(number: int) -> int:
    """A NaN of its own for each array: arithmetic hands the bits of a NaN on."""
    return 0x7FC0_0000 | (0x2_0001 + number) % 0x40_0000


class GuardedPool:
    """Gives out arrays of zeros between guards; in place of `FloatPool`."""

    def __init__(self) -> None:
        self._blocks: list[tuple[np.ndarray, int, int]] = []

    def zeros(self, count: int) -> np.ndarray:
        """An array of ``count`` floats that begins with a cache line."""
        size = count + 2 * _GUARD_FLOATS + _LINE_FLOATS
        block: np.ndarray = np.full(size, _guard_bits(len(self._blocks)), np.uint32)
        start = _GUARD_FLOATS
        start += -(block.ctypes.data // FLOAT_BYTES + start) % _LINE_FLOATS
        block[start : start + count] = 0
        self._blocks.append((block, start, start + count))
        return block[start : start + count].view(np.float32)

    def is_whole(self) -> bool:
        """Whether no guard was written to."""
        return all(
            (block[:start] == _guard_bits(number)).all()
            and (block[end:] == _guard_bits(number)).all()
            for number, (block, start, end) in enumerate(self._blocks)
        )


def guarded_pool() -> GuardedPool | None:
    """Where operands are to lie, if the environment asks for checks; it is said in the log.

    Raises:
        ConfigError: the variable is neither 0 nor 1.
    """
    value = os.environ.get(CHECK_VARIABLE, "0")
    if value not in ("", "0", "1"):
        raise ConfigError(f"{CHECK_VARIABLE} is {shown(value)}, expected 0 or 1")
    if value != "1":
        return None
    logger.warning("%s=1: each operation is checked, some hundred times slower", CHECK_VARIABLE)
    return GuardedPool()


class CheckedRun:
    """Runs the operations of a program one by one, each map in guarded memory of its own.

    Args:
        assembly: whose operands were laid out in ``pool``.
    """

    def __init__(
        self,
        program: CompiledProgram,
        assembly: Assembly,
        pool: GuardedPool,
        run: Callable[..., None],
    ) -> None:
        self._program, self._assembly, self._pool, self._run = program, assembly, pool, run
        self._constants = {
            name: value.reshape(program.frames[name], -1, 1, 1) if name in program.frames else value
            for name, value in program.constants.items()
        }
        self._padded = {
            operation.output: operation.options["pads"]
            for operation in program.operations
            if operation.kind in WITH_ZEROS
        }
        self._by_streams: dict[int, _GuardedMaps] = {}
        self._clip = None
        if program.is_clip:
            self._clip = GuardedClip(program, pool, run, assembly.product)

    def run(self, addresses: np.ndarray, streams: int) -> None:
        """Compute a group of streams.

        Args:
            addresses: addresses of the first stream's inputs, then outputs, in the order of their
                slots in the assembly.

        Raises:
            CompiledCheckError: an operation wrote beyond its map, or gave what it should not.
        """
        if streams not in self._by_streams:
            self._by_streams[streams] = _GuardedMaps(self._assembly, self._pool, streams)
        maps, assembly = self._by_streams[streams], self._assembly
        num_inputs = len(assembly.inputs)
        slots = (*assembly.inputs.values(), *assembly.outputs.values())
        for slot, address in zip(slots[:num_inputs], addresses[:num_inputs], strict=True):
            ctypes.memmove(int(maps.addresses[slot]), int(address), maps.num_bytes(slot))
        for index, operation in enumerate(assembly.operations):
            self._check(operation, index, maps)
        if self._clip is not None:
            self._check_stages(self._clip, maps)
        for slot, address in zip(slots[num_inputs:], addresses[num_inputs:], strict=True):
            ctypes.memmove(int(address), int(maps.addresses[slot]), maps.num_bytes(slot))

    def _check(self, operation: Operation, index: int, maps: "_GuardedMaps") -> None:
        assembly, program = self._assembly, self._program
        read = {
            name: self._map(name, maps) for name in operation.read if name not in program.constants
        }
        with np.errstate(all="ignore"):
            expected = reference(operation, read, self._constants, assembly.ranges)
            bound = rounding_bound(operation, read, self._constants, assembly.ranges)
        row = assembly.table[index]
        scratch = int(row["scratch"]) if maps.has_scratch(row) else -1
        for slot in (*(int(row[name]) for name in _WRITTEN), scratch):
            if slot >= 0:
                maps.forget(slot)
        made_slot = int(row["output"] if row["output"] >= 0 else row["rounded"])
        rows = 1 if operation.kind == "mix" else assembly.rows_of(made_slot)
        for part in range(assembly.parts):
            self._run(
                assembly.table[index : index + 1], assembly.later, assembly.lists,
                maps.addresses, assembly.strides, maps.streams * rows, part, assembly.parts,
                *ALONE[2:],
            )  # fmt: skip
        name = f"operation {index}, {operation.kind} to {operation.output}"
        if not self._pool.is_whole():
            raise CompiledCheckError(f"{name}: wrote beyond its map")
        for made, values in expected.items():
            found = self._map(made, maps)
            if found.dtype == np.uint8:
                error = _steps(found, values, exact=_is_exact(operation))
            else:
                error = _difference(found, np.broadcast_to(values, found.shape), bound)
            if error > _TOLERANCE:
                raise CompiledCheckError(f"{name}: differs by {error:.3g} of the largest value")

    def _check_stages(self, clip: GuardedClip, maps: "_GuardedMaps") -> None:
        """The frames of the clip a few at a time: the same bits."""
        assembly = self._assembly
        made = clip.outputs({name: maps.bytes_of(slot) for name, slot in assembly.inputs.items()})
        if not self._pool.is_whole():
            raise CompiledCheckError("the stages of a clip: wrote beyond a map")
        for name, slot in assembly.outputs.items():
            if not np.array_equal(made[name], maps.bytes_of(slot)):
                raise CompiledCheckError(f"the stages of a clip: {name} differs from all at once")

    def _map(self, name: str, maps: "_GuardedMaps") -> np.ndarray:
        """A copy of a map as [streams, C, H, W]."""
        program, slot, ranges = self._program, self._assembly.slots[name], self._assembly.ranges
        info = program.inputs.get(name)
        channels, rows, columns = self._assembly.shapes[name]
        dtype: DTypeLike = np.float32 if info is None else info.dtype
        if name in ranges:
            dtype = np.uint8
        elif name.removeprefix("output:") in program.outputs and name.startswith("output:"):
            held = program.outputs[name.removeprefix("output:")]
            dtype = np.int32 if held in program.counters else np.float32
        elif name in program.counters:
            dtype = np.int32
        data = maps.bytes_of(slot).view(dtype)
        streams = maps.streams * self._assembly.rows_of(slot)
        if name in program.pictures:
            return data.reshape(streams, channels, rows, columns).copy()
        if name in self._padded:
            _, left, _, right = self._padded[name]
            pixels = data.reshape(streams, rows + 1, left + columns + right, -1)[..., :channels]
        else:
            pixels = data.reshape(streams, rows, columns, channels)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


class _GuardedMaps:
    """All maps of a group of streams, each between guards."""

    def __init__(self, assembly: Assembly, pool: GuardedPool, streams: int) -> None:
        self.streams = streams
        self._strides, self._rows = assembly.strides, assembly.rows_of
        self.addresses = assembly.fixed.copy()
        self._floats: dict[int, np.ndarray] = {}
        for slot in {*np.flatnonzero(assembly.fixed == 0)} - {assembly.frames}:
            self._floats[int(slot)] = pool.zeros(-(-self.num_bytes(slot) // FLOAT_BYTES) + _SLACK)
            self.forget(int(slot))
            self.addresses[slot] = self._floats[int(slot)].ctypes.data

    def num_bytes(self, slot: int) -> int:
        """Of all streams' maps."""
        return int(self._strides[slot]) * self.streams * self._rows(slot)

    def bytes_of(self, slot: int) -> np.ndarray:
        """The memory of a slot."""
        return self._floats[slot].view(np.uint8)[: self.num_bytes(slot)]

    def forget(self, slot: int) -> None:
        """Fill a map with what is no number, so that nothing of it can be taken for a result."""
        self._floats[slot][:] = np.nan

    def has_scratch(self, row: np.ndarray) -> bool:
        """Whether an operation has a map of its own to work in."""
        uses = row["code"] in (
            Code.CONVOLUTION, Code.DEPTHWISE, Code.INTEGER_CONVOLUTION, Code.INTEGER_DEPTHWISE,
            Code.PLANE_DENSE,
        )  # fmt: skip
        gated = row["code"] == Code.DENSE and row["gate"] >= 0 and not row["products"]
        return bool(uses or gated)


def _is_exact(operation: Operation) -> bool:
    """Whether bytes are made of sums of integers; those of one pixel over time are floats."""
    over_time = operation.kind == "integer_temporal" and has_single_pixel(operation)
    return operation.factor_C is not None and not over_time


def _steps(found: np.ndarray, expected: np.ndarray, exact: bool) -> float:
    """The largest difference of bytes, of 255 steps; none where a half was rounded otherwise.

    Sums of floats may differ in their last bit, and so lie on the other side of a half. What is
    made of sums of integers may not (``exact``).
    """
    steps = np.abs(found.astype(np.int32) - expected.astype(np.int32))
    rare = np.count_nonzero(steps) <= max(2, _RARE * steps.size)
    if not exact and rare and steps.max() <= 1:
        return 0.0
    return float(steps.max()) / LEVELS


def _difference(found: np.ndarray, expected: np.ndarray, bound: np.ndarray | None = None) -> float:
    """The largest difference, of the largest value; infinite where one alone is no number.

    What rounding alone may make of a sum (``bound``) is no difference.
    """
    with np.errstate(all="ignore"):
        expected = expected.astype(found.dtype)
    if found.dtype.kind != "f":
        return 0.0 if np.array_equal(found, expected) else math.inf
    finite = np.isfinite(expected)
    if (np.isfinite(found) != finite).any():
        return math.inf
    if not finite.any():
        return 0.0
    largest = float(np.abs(expected[finite]).max())
    apart = np.abs(found[finite].astype(np.float64) - expected[finite])
    if bound is not None:
        apart = np.maximum(apart - np.broadcast_to(bound, found.shape)[finite], 0.0)
    return float(apart.max()) / max(largest, 1e-30)
