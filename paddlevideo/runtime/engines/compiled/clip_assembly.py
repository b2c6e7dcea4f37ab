"""Lay the program of a clip out: stages, maps of all frames, and maps of some that threads own."""

from dataclasses import dataclass, replace

import numpy as np

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.access import SLACK, padded_bytes, padded_pixel
from paddlevideo.runtime.engines.compiled.arena import ArenaMap, place_maps
from paddlevideo.runtime.engines.compiled.assembly import Assembler, Assembly
from paddlevideo.runtime.engines.compiled.clip_lowering import (
    OVER_TIME,
    WITH_ZEROS,
    has_single_pixel,
)
from paddlevideo.runtime.engines.compiled.clip_stages import Stage, clip_stages
from paddlevideo.runtime.engines.compiled.integer_layout import (
    rounding_numbers,
    sum_weights,
    values_of_sums,
)
from paddlevideo.runtime.engines.compiled.integer_windows import packed_taps
from paddlevideo.runtime.engines.compiled.layout import Pool, map_bytes
from paddlevideo.runtime.engines.compiled.memory import FloatPool
from paddlevideo.runtime.engines.compiled.operations import IDENTITY, CompiledProgram, Operation
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES, LANES, VECTOR_BYTES
from paddlevideo.runtime.engines.compiled.table import OPERATION, Code, Way
from paddlevideo.utils.limits import how_to_raise, limit

# Of the second-level cache, what the largest map of a stage may take for the frames at a time.
_PART_BYTES = 256 << 10
_MOST_FRAMES = 8  # at a time; more share no more weights
_IDENTITY_NUMBERS: np.ndarray = np.array(
    [IDENTITY.alpha, IDENTITY.beta, IDENTITY.low, IDENTITY.high, 0.0], np.float32
)
_CLOCK = "frame:"  # the map of a thread that says which frames it is at
_CLOCK_BYTES = 64
_READ_BY_ROWS = ("a", "output", "shortcut", "rounded")


@dataclass(frozen=True)
class ClipStage:
    """Records that run together.

    Attributes:
        table: for `stage_walk`.
        streams: rows to run it for; None: a stage of frames, for which threads share the clip.
    """

    table: np.ndarray
    streams: int | None


@dataclass(frozen=True)
class ClipAssembly:
    """The program of a clip, ready to run.

    Attributes:
        base: its table has the operations alone, in order; its ``maps`` hold all frames.
        stages: in order.
        own: maps of a thread.
        clock: slot of the three integers of a thread: its frame, its first frame and its last.
        frames: of a clip.
    """

    base: Assembly
    stages: tuple[ClipStage, ...]
    own: tuple[ArenaMap, ...]
    clock: int
    frames: int

    def memory_of_clip(self) -> tuple[np.ndarray, np.ndarray]:
        """Memory for the maps of a clip, and the addresses by slot of all that it holds."""
        return self.base.arena_of(1)

    def memory_of_thread(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Memory for the maps of a thread, their slots, and the address of each."""
        offsets, total = place_maps(self.own, 1)
        memory = FloatPool().zeros(total // FLOAT_BYTES)
        slots: np.ndarray = np.array(list(offsets), np.int64)
        places: np.ndarray = np.array(list(offsets.values()), np.int64)
        return memory, slots, places + memory.ctypes.data


def assemble_clip(
    program: CompiledProgram, pool: Pool | None = None, whole: bool = False, product: int = 0
) -> ClipAssembly:
    """Lay ``program`` out; its operands lie in ``pool``.

    Args:
        whole: every map is to hold all frames, so that operations can run one by one.
        product: see `assemble`.

    Raises:
        UnsupportedProgramError: its maps are larger than the limit ``map_bytes``.
    """
    return _ClipAssembler(program, pool or FloatPool(), whole, product).clip_assembly()


class _ClipAssembler(Assembler):
    def __init__(self, program: CompiledProgram, pool: Pool, whole: bool, product: int) -> None:
        super().__init__(program, pool, product=product)
        self.num_frames, self.whole = program.num_frames, whole
        self.stages = clip_stages(self.operations, program.frames_of)
        self.operations = [item for stage in self.stages for item in stage.operations]
        self.fills |= {
            "padded": (Code.PADDED, self._fill_padded),
            "temporal": (Code.TEMPORAL, self._fill_temporal),
            "mix": (Code.MIX, self._fill_mix),
            "integer_padded": (Code.INTEGER_PADDED, self._fill_integer_padded),
            "integer_temporal": (Code.INTEGER_TEMPORAL, self._fill_integer_temporal),
        }
        self.clock = self._slot(_CLOCK, _CLOCK_BYTES)
        if whole:
            self.fixed[self.clock] = self._kept(np.zeros(3, np.int32))
        for operation in self.operations:
            if operation.kind in WITH_ZEROS:
                is_bytes = operation.output in program.ranges
                self._slot(operation.output, _padded_bytes(operation, is_bytes))
        self.portions = [self._part_of(stage) for stage in self.stages]
        self.held: dict[str, int] = {}  # frames that a map of a thread holds
        self.own: list[ArenaMap] = []
        self.scratch: set[int] = set()
        for stage, (part, kept) in zip(self.stages, self.portions, strict=True):
            if stage.of_frames and not whole:
                self._hold(stage, part, kept)

    def _own(self, use: str, size: int) -> tuple[int, int]:
        slot, size = super()._own(use, size)
        self.scratch.add(slot)
        return slot, size

    def _part_of(self, stage: Stage) -> tuple[int, int]:
        """Frames of a stage that run together, and frames that its rings hold."""
        largest = max(self._bytes_of(name) for op in stage.operations for name in op.made)
        part = int(np.clip(_PART_BYTES // largest, 1, _MOST_FRAMES))
        needed = part + stage.before + stage.after
        return part, -(-needed // part) * part

    def _bytes_of(self, name: str) -> int:
        """Of a frame's map."""
        size = map_bytes(self.shapes[name])
        return size // FLOAT_BYTES if name in self.program.ranges else size

    def _hold(self, stage: Stage, part: int, kept: int) -> None:
        """Find the maps of a stage that nobody outside of it reads: a thread's own."""
        inside = {name for operation in stage.operations for name in operation.made}
        outside = {
            name
            for operation in self.operations
            if not inside & set(operation.made)
            for name in operation.read
        }
        later = {name for operation in stage.trail for name in operation.read}
        lead = {name for operation in stage.lead for name in operation.made}
        for name in inside - outside:
            if not name.startswith("output:"):
                self.held[name] = kept if name in lead & later else part

    def clip_assembly(self) -> ClipAssembly:
        """Records, then stages, then places."""
        base = self.assembly()
        strides = self._strides_apart()
        stages: list[ClipStage] = []
        first = 0
        for stage, (part, kept) in zip(self.stages, self.portions, strict=True):
            last = first + len(stage.operations)
            records = base.table[first:last]
            self._finish_records(stage, records, strides)
            if stage.of_frames and not self.whole:
                head = self._head(stage, part, kept, (first, last - 1), strides)
                stages.append(ClipStage(np.concatenate([head, records]), None))
            else:
                stages += [
                    ClipStage(records[index : index + 1], self._rows_at_once(operation))
                    for index, operation in enumerate(stage.operations)
                ]
            first = last
        strides = np.append(strides, np.zeros(len(self.strides) - len(strides), np.int64))
        rows = {slot: self.program.frames_of(name) for name, slot in self.slots.items()}
        base = replace(
            base,
            later=np.zeros((0, 4), np.int64),
            lists=np.array(self.lists or [0], np.int64),
            strides=strides,
            fixed=np.array(self.fixed, np.int64),
            maps=self._places(base, strides, rows),
            rows=rows,
        )
        return ClipAssembly(base, tuple(stages), tuple(self.own), self.clock, self.num_frames)

    def _rows_at_once(self, operation: Operation) -> int:
        return 1 if operation.kind == "mix" else self.program.frames_of(operation.output)

    def _strides_apart(self) -> np.ndarray:
        """Strides, with slack between frames whose last vector reaches beyond them.

        The next frame may be another thread's, or an older one that is still read.
        """
        strides: np.ndarray = np.array(self.strides, np.int64)
        for name, slot in self.slots.items():
            thin = name in self.shapes and self.shapes[name][0] < LANES
            beside = name in self.program.inputs or name.startswith("output:")
            if thin and not beside and not self.whole:
                strides[slot] = -(-(strides[slot] + SLACK) // 64) * 64
        return strides

    def _finish_records(self, stage: Stage, records: np.ndarray, strides: np.ndarray) -> None:
        for row, operation in zip(records, stage.operations, strict=True):
            row["later_first"] = row["later_end"] = 0
            slots = [int(row[name]) for name in _READ_BY_ROWS if row[name] >= 0]
            row["apart"] = any(strides[slot] != self.strides[slot] for slot in slots)
            if operation.kind in OVER_TIME:
                row["size_a"] = self.held.get(operation.inputs[0], self.num_frames)

    def _head(
        self, stage: Stage, part: int, kept: int, life: tuple[int, int], strides: np.ndarray
    ) -> np.ndarray:
        """The record that says how a stage goes through the frames."""
        head: np.ndarray = np.zeros(1, OPERATION)
        row = head[0]
        row["code"], row["count"], row["b"] = Code.FRAMES, self.num_frames, self.clock
        row["size_a"], row["size_b"] = part, kept
        row["top"], row["bottom"], row["depth"] = stage.before, stage.after, len(stage.lead)
        lead = {name for operation in stage.lead for name in operation.made}
        ways: list[int] = []
        for name in sorted({n for op in stage.operations for n in (*op.read, *op.made)}):
            slot = self.slots[name]
            if self.held.get(name, part) != part:
                ways += [slot, Way.RING, slot]
            elif name not in self.held and name in lead and stage.before + stage.after:
                # Frames around a thread's own are another thread's.
                spare = self._slot(f"spare:{name}", 0)
                self.own.append(ArenaMap(spare, int(strides[slot]) * part, *life))
                ways += [slot, Way.OWN, spare]
            elif name not in self.held and self._has_frames(name):
                ways += [slot, Way.WHOLE, slot]
        row["list_start"], row["list_size"] = self._listed(ways), len(ways) // 3
        return head

    def _has_frames(self, name: str) -> bool:
        return name not in self.program.constants or name in self.program.frames

    def _places(
        self, base: Assembly, strides: np.ndarray, rows: dict[int, int]
    ) -> tuple[ArenaMap, ...]:
        """The maps of all frames; those of threads are listed apart."""
        spans: list[tuple[int, int]] = []
        for stage in self.stages:
            begin, end = len(spans), len(spans) + len(stage.operations)
            spans += [(begin, end - 1)] * len(stage.operations)
        maps = []
        total = 0
        names = {slot: name for name, slot in self.slots.items()}
        for item in base.maps:
            name = names[item.slot]
            if name in self.held or item.slot in self.scratch:
                frames = self.held.get(name, 1)
                first, last = spans[item.first][0], spans[item.last][1]
                self.own.append(ArenaMap(item.slot, int(strides[item.slot]) * frames, first, last))
                continue
            size = int(strides[item.slot]) * rows[item.slot]
            total += size
            maps.append(ArenaMap(item.slot, size, spans[item.first][0], spans[item.last][1]))
        self.own.append(ArenaMap(self.clock, _CLOCK_BYTES, 0, len(spans)))
        placed = place_maps(tuple(maps), 1)[1]
        if placed > limit("map_bytes"):
            raise UnsupportedProgramError(
                f"a clip whose maps take {placed} bytes ({how_to_raise('map_bytes')})"
            )
        return tuple(maps)

    def _fill_padded(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        self._fill_zeros(row, operation)
        self._expand(row, operation.expand)

    def _fill_zeros(self, row: np.void, operation: Operation) -> None:
        row["in_channels"] = self.shapes[operation.inputs[0]][0]
        row["rows"], row["columns"] = operation.shape[1:]
        row["top"], row["left"], row["bottom"], row["right"] = operation.options["pads"]

    def _fill_integer_padded(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        self._fill_zeros(row, operation)
        row["zero"] = self.program.ranges[operation.output].zero_point
        if operation.expand is not None:
            self._fill_expansion(row, operation.expand)

    def _fill_moves(self, row: np.void, operation: Operation) -> None:
        self._window(row, operation)
        moves = operation.options["moves"]
        row["list_start"], row["list_size"] = self._listed(list(moves)), len(moves)
        row["b"], row["size_b"] = self.clock, self.num_frames

    def _fill_integer_temporal(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        self._fill_moves(row, operation)
        row["table"] = self._table(operation)
        range_, taps = operation.options["range"], len(operation.options["moves"])
        kernel, channels = operation.options["kernel"], operation.shape[0]
        if has_single_pixel(operation):
            weights, bias = values_of_sums(operation)
            weights, bias = sum_weights(weights, bias, [range_] * taps)
            row["weights"], row["bias"] = self._kept(weights), self._kept(bias)
            row["offsets"] = self._kept(
                np.full(operation.shape[2] * channels, range_.zero_point, np.uint8)
            )
            # With a table behind it, the first rounding also bounds.
            rounding = rounding_numbers(operation.inner or operation.rounding)
            row["numbers"] = self._kept(np.array(rounding, np.float32))
            if operation.inner is not None:
                row["activation"] = self._kept(_IDENTITY_NUMBERS)
            return
        by_tap = np.split(operation.own_weights, taps)
        packed = [packed_taps(weights, kernel) for weights in by_tap]
        row["weights"], row["depth"] = self._kept(np.concatenate(packed)), len(packed[0])
        sums_bytes = operation.shape[2] * VECTOR_BYTES
        self._finish(row, operation, sums_bytes)
        row["sums"], row["sums_step"] = self._own("sums", sums_bytes)

    def _fill_temporal(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        self._fill_moves(row, operation)
        row["weights"] = self._kept(operation.own_weights)
        row["offsets"] = self._kept(_IDENTITY_NUMBERS)

    def _fill_mix(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        matrix = operation.own_weights
        row["weights"] = self._kept(np.ascontiguousarray(matrix))
        row["size_b"], row["size_a"] = matrix.shape


def _padded_bytes(operation: Operation, is_bytes: bool) -> int:
    """Of a frame's map with zeros left and right, and a row of zeros below."""
    channels, rows, columns = operation.shape
    _, left, _, right = operation.options["pads"]
    pixel = padded_bytes(channels) if is_bytes else padded_pixel(channels)
    return (rows + 1) * (left + columns + right) * int(pixel)
