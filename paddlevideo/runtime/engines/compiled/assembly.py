"""Lay a program out in memory: a table of numbers for `interpreter`, packed weights, an arena.

Every map and operand has a slot. Inputs and outputs of the program lie where the caller says, the
rest in an arena in which maps that are not needed at the same time share their place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from paddlevideo.runtime.engines.compiled.access import padded_pixel
from paddlevideo.runtime.engines.compiled.arena import ArenaMap, place_maps
from paddlevideo.runtime.engines.compiled.bfloat16 import pairs_of
from paddlevideo.runtime.engines.compiled.bfloat_products import row_bytes, rows_at_once
from paddlevideo.runtime.engines.compiled.graph import TensorInfo
from paddlevideo.runtime.engines.compiled.integer_assembly import IntegerFills
from paddlevideo.runtime.engines.compiled.layout import Pool
from paddlevideo.runtime.engines.compiled.memory import FloatPool
from paddlevideo.runtime.engines.compiled.operations import CompiledProgram, Operation, Shape
from paddlevideo.runtime.engines.compiled.output_maps import with_copies
from paddlevideo.runtime.engines.compiled.pointwise import FUNCTIONS
from paddlevideo.runtime.engines.compiled.products import panels_of
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES, LANES
from paddlevideo.runtime.engines.compiled.stages import DEPTHWISE, split_of, stages_of
from paddlevideo.runtime.engines.compiled.stored_products import CAN_LOAD_HALVES
from paddlevideo.runtime.engines.compiled.table import OPERATION, Code, Split
from paddlevideo.utils.eight_bits import Range

_WINDOW = 384 << 10  # bytes of the second-level cache for what is to come

_Fill = Callable[[np.void, Operation, list[int]], None]


@dataclass(frozen=True)
class Assembly:
    """A program ready to run.

    Attributes:
        operations, table: in order, and a record for each.
        parts: threads that can share its operations.
        stages: first operation, end and number of shares of what is computed without a wait.
        later: slot (or -1), address and bytes of what operations read first, in their order, and
            whether each thread reads a share of it.
        lists: integers that operations refer to: panels, offsets, slots.
        strides: bytes from a stream's map to the next stream's, by slot.
        fixed: addresses by slot of what never moves, 0 of the others.
        inputs, outputs: slots by name.
        maps: those of the arena.
        slots, shapes: of all maps by name, those of outputs as ``output:NAME``.
        ranges: of those on 8 bits.
        keep: arrays whose addresses are in the table.
        product: what its products were laid out for, see `assemble`.
        frames: slot of the address of a list of the frames' addresses, where they do not lie one
            behind the other; -1 in the program of clips.
        rows: of the maps of a clip that have a row for each of its frames, how many, by slot.
    """

    operations: tuple[Operation, ...]
    table: np.ndarray
    parts: int
    stages: np.ndarray
    later: np.ndarray
    lists: np.ndarray
    strides: np.ndarray
    fixed: np.ndarray
    inputs: dict[str, int]
    outputs: dict[str, int]
    maps: tuple[ArenaMap, ...]
    slots: dict[str, int]
    shapes: dict[str, Shape]
    ranges: dict[str, Range]
    keep: tuple[np.ndarray, ...]
    product: int
    frames: int = -1
    rows: Mapping[int, int] = field(default_factory=dict)

    def rows_of(self, slot: int) -> int:
        """Rows that a map has for each stream: the frames of a clip, or one."""
        return self.rows.get(slot, 1)

    def arena_of(self, streams: int) -> tuple[np.ndarray, np.ndarray]:
        """An arena for a group of ``streams``, and the addresses of all slots that it holds."""
        offsets, total = place_maps(self.maps, streams)
        arena = FloatPool().zeros(total // FLOAT_BYTES)
        start = arena.ctypes.data
        addresses = self.fixed.copy()
        for slot, offset in offsets.items():
            addresses[slot] = start + offset
        return arena, addresses


def assemble(
    program: CompiledProgram, pool: Pool | None = None, parts: int = 1, product: int = 0
) -> Assembly:
    """Lay ``program`` out for up to ``parts`` threads; its operands lie in ``pool``.

    Args:
        product: address of `bfloat_products.bfloat_product`, for a program of such products.
    """
    return Assembler(program, pool or FloatPool(), parts, product).assembly()


class Assembler(IntegerFills):
    """Fills the table of a program.

    Args:
        pool: gives the memory of operands.
        parts: threads that are to share the operations of one stream.
        product: see `assemble`.
    """

    def __init__(
        self, program: CompiledProgram, pool: Pool, parts: int = 1, product: int = 0
    ) -> None:
        self.operations, shapes, ranges = with_copies(program)
        program = replace(program, ranges=ranges)
        self.product = product
        super().__init__(program, shapes, pool, parts)
        self.fills: dict[str, tuple[Code, _Fill | None]] = {
            "dense": (Code.DENSE, self._fill_dense),
            "convolution": (Code.CONVOLUTION, self._fill_convolution),
            "depthwise": (Code.DEPTHWISE, self._fill_depthwise),
            "weighted_sum": (Code.WEIGHTED_SUM, self._fill_weighted_sum),
            "mean": (Code.MEAN, self._fill_mean),
            "scale": (Code.SCALE, None),
            "average": (Code.AVERAGE, self._fill_average),
            "combine": (Code.COMBINE, self._fill_combine),
            "function": (Code.FUNCTION, self._fill_function),
            "concat": (Code.CONCAT, self._fill_concat),
            "copy": (Code.CONCAT, self._fill_copy),
            "count": (Code.COUNT_UP, self._fill_count),
            "number": (Code.NUMBER, None),
            "integer_dense": (Code.INTEGER_DENSE, self._fill_integer_dense),
            "integer_convolution": (Code.INTEGER_CONVOLUTION, self._fill_integer_convolution),
            "integer_depthwise": (Code.INTEGER_DEPTHWISE, self._fill_integer_depthwise),
            "mixed_sum": (Code.MIXED_SUM, self._fill_mixed_sum),
            "integer_mean": (Code.INTEGER_MEAN, self._fill_integer_mean),
            "integer_average": (Code.INTEGER_AVERAGE, self._fill_integer_average),
            "integer_scale": (Code.INTEGER_SCALE, self._fill_rounding),
            "scale_bytes": (Code.SCALE_BYTES, self._fill_both),
            "quantize": (Code.QUANTIZE, self._fill_rounding),
            "dequantize": (Code.DEQUANTIZE, self._fill_dequantize),
        }

    def assembly(self) -> Assembly:
        """Slots for inputs, outputs and constants, then the operations in order."""
        inputs = {
            name: self._slot(name, self._input_bytes(info))
            for name, info in self.program.inputs.items()
        }
        outputs = {
            f"output:{name}": self._slot(f"output:{name}", self._map_bytes(f"output:{name}"))
            for name in self.program.outputs
        }
        for name, value in self.program.constants.items():
            frames = self.program.frames.get(name)
            slot = self._slot(name, value.nbytes // frames if frames else 0)
            self.fixed[slot] = self._kept(value.reshape(-1).astype(np.float32))
        if not self.program.is_clip:
            self.frames = self._slot("frame:addresses", 0)
        outside = {*inputs.values(), *outputs.values(), *np.flatnonzero(self.fixed)}
        table = np.zeros(len(self.operations), OPERATION)
        for index, operation in enumerate(self.operations):
            self.index = index
            self._fill(table[index], operation)
        later = self._order_ahead(table, set(inputs.values()), set(outputs.values()))
        maps = [
            ArenaMap(slot, self.sizes[slot], lives[0], lives[-1])
            for slot, lives in self.lives.items()
            if slot not in outside
        ]
        return Assembly(
            operations=tuple(self.operations),
            table=table,
            parts=self.parts,
            stages=stages_of(table, self.parts),
            later=later,
            lists=np.array(self.lists or [0], np.int64),
            strides=np.array(self.strides, np.int64),
            fixed=np.array(self.fixed, np.int64),
            inputs=inputs,
            outputs={name.removeprefix("output:"): slot for name, slot in outputs.items()},
            maps=tuple(maps),
            slots=self.slots,
            shapes=self.shapes,
            ranges=self.program.ranges,
            keep=tuple(self.keep),
            product=self.product,
            frames=self.frames,
        )

    def _input_bytes(self, info: TensorInfo) -> int:
        """Of one stream's input."""
        size = info.dtype.itemsize if info.range is None else 1
        return int(np.prod(info.shape[-3:])) * size

    def _order_ahead(self, table: np.ndarray, inputs: set[int], outputs: set[int]) -> np.ndarray:
        """What each operation reads that no operation before it has made, and who may ask for it.

        While an operation computes, it asks for what the next ones need, up to `_WINDOW` bytes, so
        that it does not drive out what is in use.
        """
        regions: list[tuple[int, int, int, int]] = []
        starts = []
        for row in table:
            starts.append(len(regions))
            for weights in ("weights", "expand_weights"):
                if row[weights]:
                    size = min(self.kept_bytes[int(row[weights])], _WINDOW // 2)
                    shared = row["split"] == Split.CHANNELS and row["code"] not in DEPTHWISE
                    regions.append((-1, int(row[weights]), size, int(shared)))
            slots = [int(row["a"])]
            first, count = int(row["list_start"]), int(row["list_size"])
            if row["code"] == Code.WEIGHTED_SUM:
                slots = self.lists[first : first + count]
            elif row["code"] == Code.MIXED_SUM:
                slots = self.lists[first : first + 2 * count : 2]
            shared = row["split"] == Split.PIXELS and row["code"] != Code.CONVOLUTION
            regions += [
                (slot, 0, self.strides[slot], int(shared)) for slot in slots if slot in inputs
            ]
            if self.parts == 1:  # else another thread may write what this one asks for
                made = (int(row["output"]), int(row["rounded"]))
                regions += [(slot, 0, self.strides[slot], 0) for slot in made if slot in outputs]
        starts.append(len(regions))
        for index, row in enumerate(table):
            first = end = starts[index + 1]
            size = 0
            while end < len(regions) and size < _WINDOW:
                size += regions[end][2]
                end += 1
            row["later_first"], row["later_end"] = first, end
        return np.array(regions or [(-1, 0, 0, 0)], np.int64)

    def _fill(self, row: np.void, operation: Operation) -> None:
        row["activation"] = self._activation(operation)
        row["swish"] = operation.activation.silu
        reads = [self._map(name) for name in operation.inputs]
        row["a"], row["b"], row["frames"] = reads[0], reads[-1], -1
        for name in ("shortcut", "gate"):
            read = vars(operation)[name]
            row[name] = -1 if read is None else self._map(read)
        row["output"] = self._map(operation.output) if operation.writes else -1
        row["rounded"] = -1 if operation.rounded is None else self._map(operation.rounded)
        row["sums"] = row["pairs"] = -1
        channels, rows, columns = operation.shape
        row["channels"], row["out_rows"] = channels, rows
        row["out_columns"], row["pixels"] = columns, rows * columns
        row["count"] = channels * rows * columns
        if operation.bias is not None and operation.bias.dtype == np.float32:
            row["bias"] = self._kept(operation.bias)
        row["code"], fill = self.fills[operation.kind]
        if fill is not None:
            fill(row, operation, reads)
        first, count = int(row["list_start"]), int(row["list_size"])
        starts, sizes = (self.lists[first + n : first + 3 * count : 3] for n in (0, 1))
        panels = list(zip(starts, sizes, strict=False))
        row["split"] = split_of(row, operation, self.shapes, panels, self.parts)

    def _activation(self, operation: Operation) -> int:
        activation = operation.activation
        numbers = [activation.alpha, activation.beta, activation.low, activation.high]
        return self._kept(np.array([*numbers, activation.multiply], np.float32))

    def _fill_dense(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        stored, single = operation.stored, operation.shape[1:] == (1, 1)
        single = single and self.program.frames_of(operation.output) == 1
        plain = operation.gate is None and operation.shortcut is None
        if stored is not None and single and plain and _is_read_fast(stored.numbers):
            self._fill_stored(row, stored)
            return
        self._matrix(row, self._multiplied(row, operation))
        row["depth"] = len(operation.own_weights)
        if operation.gate is not None and not row["products"]:
            row["count"] = self.kept_bytes[int(row["weights"])] // FLOAT_BYTES
            self._scratch(row, int(row["count"]))

    def _expand(self, row: np.void, expand: Operation | None) -> None:
        """The product that makes the input."""
        if expand is not None and expand.bias is not None:
            row["expand_weights"], panels = self._packed(self._multiplied(row, expand))
            row["list_start"], row["list_size"] = self._listed(panels), len(panels) // 3
            row["expand_bias"] = self._kept(expand.bias)
            row["expand_activation"] = self._activation(expand)
            row["expand_swish"] = expand.activation.silu

    def _multiplied(self, row: np.void, operation: Operation) -> np.ndarray:
        """The weights of a matrix product as it multiplies them."""
        weights = operation.own_weights
        if operation.products == "float32":
            return weights
        if not self.product:
            raise ValueError(f"products of {operation.products} without their function")
        depth = len(weights)
        row["products"] = self.product
        size = int(rows_at_once(depth) * row_bytes(depth))
        row["pairs"], row["pairs_step"] = self._own("pairs", size)
        return pairs_of(weights)

    def _matrix(self, row: np.void, weights: np.ndarray, widest: int = 3) -> None:
        row["weights"], panels = self._packed(weights, widest)
        row["list_start"], row["list_size"] = self._listed(panels), len(panels) // 3
        row["depth"] = weights.shape[0]

    def _packed(self, weights: np.ndarray, widest: int = 3) -> tuple[int, list[int]]:
        """Pack a matrix [depth, channels] in panels, each [depth, vectors * LANES].

        Returns:
            Its address, and for each panel the first channel, the number of vectors, and bytes.
        """
        depth, channels = weights.shape
        wide = np.zeros((depth, channels + LANES), np.float32)
        wide[:, :channels] = weights
        parts: list[np.ndarray] = []
        panels: list[int] = []
        at = 0
        for first, vectors in panels_of(channels, widest):
            parts.append(wide[:, first : first + vectors * LANES].reshape(-1))
            panels += [first, vectors, at * FLOAT_BYTES]
            at += parts[-1].size
        return self._kept(np.concatenate(parts)), panels

    def _fill_convolution(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        planes, high, wide = self._window(row, operation)
        row["frames"] = self.frames
        self._scratch(row, planes * high * wide)
        weights = operation.own_weights
        kernel = weights.shape[2]
        self._matrix(row, weights.transpose(1, 2, 3, 0).reshape(-1, weights.shape[0]), widest=1)
        row["input_offsets"] = self._listed(
            [
                FLOAT_BYTES * ((plane * high + ky) * wide + kx)
                for plane in range(planes)
                for ky in range(kernel)
                for kx in range(kernel)
            ]
        )
        row["is_bytes"] = self.program.inputs[operation.inputs[0]].dtype == np.uint8
        row["offsets"] = self._kept(operation.options["offset"])

    def _fill_depthwise(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        _, _, wide = self._window(row, operation)
        rows_kept = operation.options["kernel"] + 1  # and one of zeros
        floats = rows_kept * wide * padded_pixel(operation.shape[0]) // FLOAT_BYTES
        self._scratch(row, floats)
        row["weights"] = self._kept(operation.own_weights)
        self._expand(row, operation.expand)

    def _fill_weighted_sum(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        row["weights"] = self._kept(operation.own_weights)
        row["list_start"], row["list_size"] = self._listed(reads), len(reads)

    def _fill_mean(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        row["pixels"] = operation.options["pixels"]

    def _fill_average(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        self._window(row, operation)

    def _fill_combine(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        row["kind"] = operation.options["is_product"]
        row["size_a"], row["size_b"] = (self._size_of(name) for name in operation.inputs)

    def _fill_function(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        row["kind"] = FUNCTIONS.index(operation.options["function"])

    def _fill_concat(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        pairs = [
            number
            for slot, name in zip(reads, operation.inputs, strict=True)
            for number in (slot, self._size_of(name))
        ]
        row["list_start"], row["list_size"] = self._listed(pairs), len(reads)

    def _fill_copy(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        # A row of one: as it is written number by number, nothing beyond it is touched.
        pairs = [reads[0], self._size_of(operation.inputs[0])]
        row["list_start"], row["list_size"] = self._listed(pairs), 1

    def _fill_count(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        row["size_a"] = operation.options["step"]


def _is_read_fast(numbers: np.ndarray) -> bool:
    """Whether these become floats in registers at no loss."""
    return numbers.dtype == np.int8 or (numbers.dtype == np.float16 and CAN_LOAD_HALVES)
