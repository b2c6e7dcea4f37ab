"""Between the frames of a clip on 8 bits: maps with their zero around them, kernels over time."""

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types

from paddlevideo.runtime.engines.compiled.access import (
    NONE,
    Array,
    Row,
    compiled,
    first_channel_of,
    integers_at,
    padded_bytes,
    vectors_of,
)
from paddlevideo.runtime.engines.compiled.byte_tables import look_up_in_place
from paddlevideo.runtime.engines.compiled.integer_pointwise import mixed_sum
from paddlevideo.runtime.engines.compiled.integer_products import integer_dense
from paddlevideo.runtime.engines.compiled.integer_simd import FORM, load_integers
from paddlevideo.runtime.engines.compiled.integer_tiles import SpanCode, integer_span
from paddlevideo.runtime.engines.compiled.integer_windows import copy_bytes_row, fill_ring
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    INT64,
    VECTOR_BYTES,
    keep_apart,
)
from paddlevideo.runtime.engines.compiled.table import (
    INTEGER_WINDOWS,
    LARGEST_KERNEL,
    MOST_MAPS,
    Code,
)

_I = types.intp


class _MoreCode(SpanCode):
    """A span whose sums begin with those of the frames before, which lie at the bias' address."""

    def first_sum(self, bias: ir.Value, index: ir.Value) -> ir.Value:
        """The sum that was there."""
        offset = self.builder.mul(index, INT64(VECTOR_BYTES))
        return load_integers(self.builder, self.builder.add(self.bias, offset))


_first_31, _first_32, _first_51, _first_52 = (
    integer_span(kernel, stride, FORM) for kernel, stride in INTEGER_WINDOWS
)
_more_31, _more_32, _more_51, _more_52 = (
    integer_span(kernel, stride, FORM, _MoreCode) for kernel, stride in INTEGER_WINDOWS
)


@compiled
def _span(
    kernel: int, stride: int, is_first: bool, rows: int, at: int, pixel: int, w: int, ldw: int,
    y: int, ldy: int, count: int, bias: int, factors: int, limits: int,
) -> None:  # fmt: skip
    """The windows of one frame; of the first their sums begin with the bias."""
    keep_apart()
    if kernel == 3 and stride == 1:
        if is_first:
            _first_31(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
        else:
            _more_31(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
    elif kernel == 3:
        if is_first:
            _first_32(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
        else:
            _more_32(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
    elif stride == 1:
        if is_first:
            _first_51(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
        else:
            _more_51(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
    elif is_first:
        _first_52(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
    else:
        _more_52(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)


@njit(nogil=True)
def _pad_frame(row: Row, lists: Array, x: int, y: int, ahead: Array, regions: Array) -> None:
    """As `clip_time.pad_frame` with floats; around it lies what stands for zero."""
    pixel = padded_bytes(row.channels)
    row_bytes = (row.left + row.columns + row.right) * pixel
    fill_ring(y, row.rows, row.left, row.columns, row.right, pixel, row.zero)
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    for line in range(row.rows):
        to = y + line * row_bytes + row.left * pixel
        source = x + line * row.columns * row.in_channels
        if row.list_size == 0:
            copy_bytes_row(source, row.columns, row.channels, to, 0, vectors_of(row.channels))
            continue
        integer_dense(
            source, row.in_channels, row.columns, panels, row.expand_weights, row.depth,
            row.expand_bias, row.expand_factors, row.expand_limits, NONE, NONE, NONE,
            NONE, NONE, NONE, NONE, to, pixel, NONE, ahead, regions,
        )  # fmt: skip
        if row.expand_table:
            look_up_in_place(to, row.columns * pixel, row.expand_table)


@compiled
def _frames_seen(row: Row, lists: Array, addresses: Array, strides: Array, frame: int,
                 seen: Array) -> None:  # fmt: skip
    """Where the frames under a kernel lie; 0: before the clip, or behind it."""
    kept, stride = row.size_a, strides[row.a]
    begin = addresses[row.a] - integers_at(addresses[row.b], 1)[0] % kept * stride
    for tap in range(row.list_size):
        other = frame + lists[row.list_start + tap]
        seen[tap] = begin + other % kept * stride if 0 <= other < row.size_b else 0


@compiled
def _windows_of_frames(row: Row, seen: Array, out_row: int, sums: int, y8: int) -> None:
    """One row: the sums of one frame after the other, those of the last one rounded."""
    pixel, ldw = padded_bytes(row.channels), row.channels * 4
    row_bytes = (row.left + row.columns + row.right) * pixel
    taps = row.list_size
    # Anything that is there has a row of zeros.
    zeros: int = 0
    for tap in range(taps):
        zeros = seen[tap] if seen[tap] else zeros
    zeros += row.rows * row_bytes
    under: Array = np.empty((MOST_MAPS, LARGEST_KERNEL), np.int64)
    for tap in range(taps):
        for ky in range(row.kernel):
            line = out_row * row.stride - row.top + ky
            inside = seen[tap] != 0 and 0 <= line < row.rows
            under[tap, ky] = seen[tap] + line * row_bytes if inside else zeros
    for vector in range(vectors_of(row.channels)):
        at = first_channel_of(vector, row.channels)
        wide = at * FLOAT_BYTES
        for tap in range(taps):
            last = tap == taps - 1
            _span(
                row.kernel, row.stride, tap == 0, under[tap].ctypes.data, at, pixel,
                row.weights + tap * row.depth * ldw + wide, ldw,
                y8 + at if last else sums, row.channels if last else VECTOR_BYTES, row.out_columns,
                sums if tap else row.bias + wide, row.factors + wide, row.limits if last else NONE,
            )  # fmt: skip


@njit(nogil=True)
def _kernel_over_time(
    row: Row, lists: Array, addresses: Array, strides: Array, frames: int
) -> None:
    first = integers_at(addresses[row.b], 1)[0]
    seen: Array = np.empty(MOST_MAPS, np.int64)
    maps: Array = np.empty((MOST_MAPS, 2), np.int64)
    out_bytes = row.out_columns * row.channels
    for number in range(frames):
        _frames_seen(row, lists, addresses, strides, first + number, seen)
        y8 = addresses[row.rounded] + number * strides[row.rounded]
        for out_row in range(row.out_rows):
            to = y8 + out_row * out_bytes
            if row.limits:
                _windows_of_frames(row, seen, out_row, addresses[row.sums], to)
                continue
            for tap in range(row.list_size):
                # Frames that are not there are a row of zeros.
                maps[tap, 0] = seen[tap] + out_row * out_bytes if seen[tap] else row.offsets
                maps[tap, 1] = 1
            mixed_sum(
                maps, row.list_size, row.out_columns, row.channels, row.weights, row.bias,
                row.activation, row.numbers, NONE, to,
            )  # fmt: skip
        if row.table:
            look_up_in_place(y8, row.count, row.table)


@njit(nogil=True)
def run_integers_between_frames(
    row: Row, lists: Array, addresses: Array, strides: Array, frames: int, ahead: Array,
    regions: Array,
) -> None:  # fmt: skip
    """One of these operations, for some frames one behind the other."""
    if row.code == Code.INTEGER_TEMPORAL:
        _kernel_over_time(row, lists, addresses, strides, frames)
        return
    for frame in range(frames):
        x = addresses[row.a] + frame * strides[row.a]
        y = addresses[row.output] + frame * strides[row.output]
        _pad_frame(row, lists, x, y, ahead, regions)
