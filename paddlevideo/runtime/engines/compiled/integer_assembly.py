"""How records of operations on 8 bits, or with weights on 8 bits, are filled."""

import numpy as np

from paddlevideo.runtime.engines.compiled.access import padded_bytes
from paddlevideo.runtime.engines.compiled.graph import StoredWeights
from paddlevideo.runtime.engines.compiled.integer_layout import (
    centred_bias,
    factors_of,
    finish_numbers,
    limits_of,
    packed_fours,
    rounding_numbers,
    sum_weights,
    window_fours,
)
from paddlevideo.runtime.engines.compiled.integer_lowering import has_table
from paddlevideo.runtime.engines.compiled.integer_products import SUMS_BYTES
from paddlevideo.runtime.engines.compiled.integer_reference import byte_table
from paddlevideo.runtime.engines.compiled.integer_windows import packed_taps
from paddlevideo.runtime.engines.compiled.layout import Layout
from paddlevideo.runtime.engines.compiled.operations import Operation
from paddlevideo.runtime.engines.compiled.plane_products import (
    HAS_PLANES,
    WIDEST,
    moved_sums,
    scratch_floats,
)
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES, LANES, VECTOR_BYTES
from paddlevideo.runtime.engines.compiled.stored_products import stored_panels
from paddlevideo.runtime.engines.compiled.table import Code
from paddlevideo.utils.eight_bits import Range


class IntegerFills(Layout):
    """Fills the records of operations on 8 bits."""

    def _finish(self, row: np.void, operation: Operation, sums_bytes: int) -> None:
        """What becomes of sums of integers."""
        row["bias"] = self._kept(centred_bias(operation))
        row["factors"] = self._kept(factors_of(operation))
        row["zero"] = operation.options["range"].zero_point
        limits = limits_of(operation)
        if limits is not None:
            row["limits"] = self._kept(limits)
            if has_table(operation):
                row["numbers"] = self._kept(byte_table(operation))
                row["sums"], row["sums_step"] = self._own("sums", sums_bytes)
            return
        shortcut = self.program.ranges.get(operation.shortcut or "")
        row["numbers"] = self._kept(finish_numbers(operation, shortcut))
        row["shortcut_is_bytes"] = shortcut is not None
        row["sums"], row["sums_step"] = self._own("sums", sums_bytes)

    def _table(self, operation: Operation) -> int:
        """Of bytes, for what is looked up behind a product; 0: nothing is."""
        return self._kept(byte_table(operation)) if has_table(operation) else 0

    def _fours(self, row: np.void, weights: np.ndarray, widest: int = 3) -> int:
        packed, panels = packed_fours(weights, widest)
        row["list_start"], row["list_size"] = self._listed(panels), len(panels) // 3
        row["depth"] = -(-len(weights) // 4)
        return self._kept(packed)

    def _fill_stored(self, row: np.void, stored: StoredWeights) -> None:
        """A product of single pixels with weights as the file stores them."""
        numbers = stored.numbers
        row["factors"] = self._kept(stored.scale_C)
        if numbers.dtype == np.int8 and HAS_PLANES:
            row["code"] = Code.PLANE_DENSE
            row["weights"] = self._fours(row, numbers, widest=WIDEST)
            row["numbers"] = self._kept(moved_sums(numbers))
            row["limits"] = self._kept(np.zeros(WIDEST * LANES, np.int32))
            self._scratch(row, scratch_floats(len(numbers)))
        else:
            row["code"] = Code.STORED_DENSE
            packed, panels = stored_panels(numbers)
            row["weights"] = self._kept(packed)
            row["list_start"], row["list_size"] = self._listed(panels), len(panels) // 3
            row["kind"] = numbers.dtype == np.float16
        row["depth"] = len(numbers)

    def _fill_integer_dense(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        row["in_channels"] = self.shapes[operation.inputs[0]][0]
        row["weights"] = self._fours(row, operation.own_weights)
        self._finish(row, operation, SUMS_BYTES)

    def _fill_integer_convolution(
        self, row: np.void, operation: Operation, reads: list[int]
    ) -> None:
        planes, high, wide = self._window(row, operation)
        row["frames"] = self.frames
        self._scratch(row, -(-planes * high * wide // FLOAT_BYTES))
        matrix, offsets = window_fours(operation.own_weights, high, wide)
        row["weights"] = self._fours(row, matrix, widest=1)
        row["input_offsets"] = self._listed(offsets)
        self._finish(row, operation, SUMS_BYTES)

    def _fill_integer_depthwise(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        _, _, wide = self._window(row, operation)
        kernel, expand = operation.options["kernel"], operation.expand
        ring = (kernel + 1) * wide * padded_bytes(operation.shape[0])  # and a row of zeros
        self._scratch(row, ring // FLOAT_BYTES)
        row["weights"] = self._kept(packed_taps(operation.own_weights, kernel))
        if expand is not None:
            self._fill_expansion(row, expand)
        self._finish(row, operation, operation.shape[2] * VECTOR_BYTES)

    def _fill_expansion(self, row: np.void, expand: Operation) -> None:
        """The product that makes the input, row by row."""
        row["expand_weights"] = self._fours(row, expand.own_weights)
        row["expand_bias"] = self._kept(centred_bias(expand))
        row["expand_factors"] = self._kept(factors_of(expand))
        limits = limits_of(expand)
        if limits is None:
            raise ValueError("an expansion that is not rounded at once")
        row["expand_limits"] = self._kept(limits)
        row["expand_table"] = self._table(expand)

    def _fill_mixed_sum(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        ranges = [self.program.ranges.get(name) for name in operation.inputs]
        weights, bias = sum_weights(operation.own_weights, operation.bias, ranges)
        row["weights"], row["bias"] = self._kept(weights), self._kept(bias)
        numbers = [
            n for slot, each in zip(reads, ranges, strict=True) for n in (slot, each is not None)
        ]
        row["list_start"], row["list_size"] = self._listed(numbers), len(reads)
        self._fill_rounding(row, operation, reads)

    def _fill_rounding(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        row["numbers"] = self._kept(np.array(rounding_numbers(operation.rounding), np.float32))

    def _fill_dequantize(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        self._fill_values(row, self.program.ranges[operation.inputs[0]])

    def _fill_values(self, row: np.void, range_: Range) -> None:
        row["numbers"] = self._kept(np.array([range_.scale, range_.zero_point], np.float32))

    def _fill_integer_mean(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        row["pixels"] = operation.options["pixels"]
        self._fill_values(row, operation.options["range"])

    def _fill_integer_average(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        self._window(row, operation)
        self._fill_both(row, operation, reads)

    def _fill_both(self, row: np.void, operation: Operation, reads: list[int]) -> None:
        """Numbers of what is read as bytes and of what is written so."""
        range_ = operation.options["range"]
        numbers = [range_.scale, range_.zero_point, *rounding_numbers(operation.rounding)]
        row["numbers"] = self._kept(np.array(numbers, np.float32))
