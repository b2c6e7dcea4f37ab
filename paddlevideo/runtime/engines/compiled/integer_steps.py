"""Operations on 8 bits of a table: what `interpreter` calls for their codes."""

import numpy as np
from numba import njit

from paddlevideo.runtime.engines.compiled.access import (
    NONE,
    Array,
    Row,
    floats_at,
    padded_bytes,
)
from paddlevideo.runtime.engines.compiled.integer_pointwise import (
    average_of_bytes,
    dequantize,
    mean_of_bytes,
    mixed_sum,
    multiply_to_bytes,
    quantize,
)
from paddlevideo.runtime.engines.compiled.integer_products import (
    integer_convolve,
    integer_dense,
    pad_bytes,
)
from paddlevideo.runtime.engines.compiled.integer_windows import (
    copy_bytes_row,
    fill_ring,
    integer_depthwise_row,
)
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES
from paddlevideo.runtime.engines.compiled.stored_products import stored_dense
from paddlevideo.runtime.engines.compiled.table import MOST_MAPS, Code


@njit(nogil=True)
def _place(addresses: Array, strides: Array, slot: int, stream: int) -> int:
    """Where a stream's map lies; 0 is none."""
    return addresses[slot] + stream * strides[slot] if slot >= 0 else 0


@njit(nogil=True)
def _dense(
    row: Row,
    lists: Array,
    addresses: Array,
    strides: Array,
    streams: int,
    ahead: Array,
    regions: Array,
) -> None:
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    integer_dense(
        addresses[row.a],
        row.in_channels,
        streams * row.pixels,
        panels,
        row.weights,
        row.depth,
        row.bias,
        row.factors,
        row.limits,
        row.numbers,
        row.activation,
        _place(addresses, strides, row.shortcut, 0),
        row.channels * (1 if row.shortcut_is_bytes else FLOAT_BYTES),
        row.shortcut_is_bytes,
        _place(addresses, strides, row.output, 0),
        row.channels * FLOAT_BYTES,
        _place(addresses, strides, row.rounded, 0),
        row.channels,
        _place(addresses, strides, row.sums, 0),
        ahead,
        regions,
    )


@njit(nogil=True)
def _stored(row: Row, lists: Array, a: int, rows: int, c: int) -> None:
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    stored_dense(
        a, rows, panels, row.weights, row.kind, row.depth, row.factors, row.bias, row.activation, c,
        row.channels,
    )  # fmt: skip


@njit(nogil=True)
def _convolution(
    row: Row, lists: Array, x: int, planes: int, y: int, y8: int, sums: int, ahead: Array,
    regions: Array,
) -> None:  # fmt: skip
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    pad_bytes(
        x, row.in_channels, row.rows, row.columns, row.top, row.left, row.bottom, row.right,
        row.zero, planes,
    )  # fmt: skip
    integer_convolve(
        planes,
        row.left + row.columns + row.right,
        row.stride,
        row.weights,
        row.depth,
        lists[row.input_offsets :].ctypes.data,
        panels,
        row.out_rows,
        row.out_columns,
        row.stride,
        row.bias,
        row.factors,
        row.limits,
        row.numbers,
        row.activation,
        y,
        row.channels * FLOAT_BYTES,
        y8,
        row.channels,
        sums,
        ahead,
        regions,
    )


@njit(nogil=True)
def _depthwise(
    row: Row, lists: Array, x: int, ring: int, y: int, y8: int, sums: int, ahead: Array,
    regions: Array,
) -> None:  # fmt: skip
    """As `interpreter`'s in floats: where its input is a product, of that product row by row."""
    pixel = padded_bytes(row.channels)
    row_bytes = (row.left + row.columns + row.right) * pixel
    fill_ring(ring, row.kernel, row.left, row.columns, row.right, pixel, row.zero)
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    done = 0
    for out_row in range(row.out_rows):
        first = out_row * row.stride - row.top
        while done < min(first + row.kernel, row.rows):
            to = ring + done % row.kernel * row_bytes + row.left * pixel
            source = x + done * row.columns * row.in_channels
            if row.list_size:
                integer_dense(
                    source, row.in_channels, row.columns, panels, row.expand_weights, row.depth,
                    row.expand_bias, row.expand_factors, row.expand_limits, NONE, NONE, NONE,
                    NONE, NONE, NONE, NONE, to, pixel, NONE, ahead, regions,
                )  # fmt: skip
            else:
                copy_bytes_row(source, row.columns, row.channels, to)
            done += 1
        before = out_row * row.out_columns * row.channels
        integer_depthwise_row(
            ring,
            row_bytes,
            first,
            row.rows,
            row.channels,
            row.kernel,
            row.stride,
            row.weights,
            row.out_columns,
            row.bias,
            row.factors,
            row.limits,
            row.numbers,
            row.activation,
            y + before * FLOAT_BYTES if y else 0,
            y8 + before if y8 else 0,
            sums,
        )


@njit(nogil=True)
def _mixed_sum(
    row: Row, lists: Array, addresses: Array, strides: Array, stream: int, y: int, y8: int
) -> None:
    maps: Array = np.empty((MOST_MAPS, 2), np.int64)
    for index in range(row.list_size):
        at = row.list_start + 2 * index
        maps[index, 0] = _place(addresses, strides, lists[at], stream)
        maps[index, 1] = lists[at + 1]
    mixed_sum(
        maps, row.list_size, row.pixels, row.channels, row.weights, row.bias, row.activation,
        row.numbers, y, y8,
    )  # fmt: skip


@njit(nogil=True)
def _other(row: Row, a: int, b: int, y: int, y8: int) -> None:
    code = row.code
    if code == Code.INTEGER_MEAN:
        numbers = floats_at(row.numbers, 2)
        mean_of_bytes(a, row.pixels, row.channels, numbers[0], numbers[1], y)
    elif code == Code.INTEGER_AVERAGE:
        average_of_bytes(
            a, row.rows, row.columns, row.channels, row.kernel, row.stride, row.top, row.left,
            row.numbers, y8, row.out_rows, row.out_columns,
        )  # fmt: skip
    elif code == Code.INTEGER_SCALE:
        multiply_to_bytes(a, row.pixels, row.channels, b, row.numbers, y8)
    elif code == Code.QUANTIZE:
        quantize(a, row.count, row.numbers, y)
    elif code == Code.DEQUANTIZE:
        numbers = floats_at(row.numbers, 2)
        dequantize(a, row.count, numbers[0], numbers[1], y)


@njit(nogil=True)
def run_integers(
    row: Row,
    lists: Array,
    addresses: Array,
    strides: Array,
    streams: int,
    ahead: Array,
    regions: Array,
) -> None:
    """One operation of a code from ``INTEGER_DENSE`` on, for each stream."""
    code = row.code
    if code == Code.INTEGER_DENSE:
        _dense(row, lists, addresses, strides, streams, ahead, regions)
        return
    if code == Code.STORED_DENSE:
        _stored(row, lists, addresses[row.a], streams, addresses[row.output])
        return
    for stream in range(streams):
        a = _place(addresses, strides, row.a, stream)
        y = _place(addresses, strides, row.output, stream)
        y8 = _place(addresses, strides, row.rounded, stream)
        scratch = _place(addresses, strides, row.scratch, 0)
        sums = _place(addresses, strides, row.sums, 0)
        if code == Code.INTEGER_DEPTHWISE:
            _depthwise(row, lists, a, scratch, y, y8, sums, ahead, regions)
        elif code == Code.INTEGER_CONVOLUTION:
            _convolution(row, lists, a, scratch, y, y8, sums, ahead, regions)
        elif code == Code.MIXED_SUM:
            _mixed_sum(row, lists, addresses, strides, stream, y, y8)
        else:
            _other(row, a, _place(addresses, strides, row.b, stream), y, y8)
