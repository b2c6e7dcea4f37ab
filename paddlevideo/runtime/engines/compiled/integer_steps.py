"""Operations on 8 bits of a table: what `interpreter` calls for their codes."""

import numpy as np
from numba import njit

from paddlevideo.runtime.engines.compiled.access import (
    NONE,
    Array,
    Row,
    floats_at,
    frame_at,
    padded_bytes,
)
from paddlevideo.runtime.engines.compiled.byte_tables import look_up_in_place
from paddlevideo.runtime.engines.compiled.integer_pointwise import (
    average_of_bytes,
    dequantize,
    mean_of_bytes,
    mixed_sum,
    multiply_bytes,
    multiply_to_bytes,
    quantize,
)
from paddlevideo.runtime.engines.compiled.integer_products import (
    INTEGER_ROWS_OF,
    integer_convolve,
    integer_dense,
    pad_bytes,
)
from paddlevideo.runtime.engines.compiled.integer_windows import (
    copy_bytes_row,
    fill_ring,
    integer_depthwise_row,
)
from paddlevideo.runtime.engines.compiled.plane_products import plane_dense
from paddlevideo.runtime.engines.compiled.shares import (
    NUMBERS,
    panels_share,
    share_of,
    vectors_share,
    window_share,
)
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES
from paddlevideo.runtime.engines.compiled.stored_products import stored_dense
from paddlevideo.runtime.engines.compiled.table import MOST_MAPS, Code, Split


@njit(nogil=True)
def _place(addresses: Array, strides: Array, slot: int, stream: int) -> int:
    """Where a stream's map lies; 0 is none."""
    return addresses[slot] + stream * strides[slot] if slot >= 0 else 0


@njit(nogil=True)
def _further(address: int, more: int) -> int:
    """An address ``more`` bytes on; 0 is none."""
    return address + more if address else 0


@njit(nogil=True)
def _dense(
    row: Row,
    lists: Array,
    addresses: Array,
    strides: Array,
    stream: int,
    streams: int,
    sums: int,
    part: int,
    parts: int,
    ahead: Array,
    regions: Array,
) -> None:
    """A product for ``streams`` rows one behind the other, from ``stream`` on."""
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    first, last = 0, streams * row.pixels
    if row.split == Split.CHANNELS:
        panels = panels_share(panels, part, parts)
    elif row.split == Split.PIXELS:
        first, last = share_of(last, INTEGER_ROWS_OF[panels[0, 1]], part, parts)
    before = first * row.channels
    ldshortcut = row.channels * (1 if row.shortcut_is_bytes else FLOAT_BYTES)
    integer_dense(
        _place(addresses, strides, row.a, stream) + first * row.in_channels,
        row.in_channels,
        last - first,
        panels,
        row.weights,
        row.depth,
        row.bias,
        row.factors,
        row.limits,
        row.numbers,
        row.activation,
        _further(_place(addresses, strides, row.shortcut, stream), first * ldshortcut),
        ldshortcut,
        row.shortcut_is_bytes,
        _further(_place(addresses, strides, row.output, stream), before * FLOAT_BYTES),
        row.channels * FLOAT_BYTES,
        _further(_place(addresses, strides, row.rounded, stream), before),
        row.channels,
        sums,
        ahead,
        regions,
    )


@njit(nogil=True)
def _stored(row: Row, lists: Array, a: int, rows: int, c: int, part: int, parts: int) -> None:
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    panels = panels_share(panels, part, parts)
    stored_dense(
        a, rows, panels, row.weights, row.kind, row.depth, row.factors, row.bias, row.activation, c,
        row.channels,
    )  # fmt: skip


@njit(nogil=True)
def _planes(
    row: Row, lists: Array, a: int, rows: int, c: int, scratch: int, part: int, parts: int
) -> None:
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    panels = panels_share(panels, part, parts)
    plane_dense(
        a, rows, panels, row.weights, row.depth, row.factors, row.numbers, row.bias, row.activation,
        c, row.channels, row.limits, scratch,
    )  # fmt: skip


@njit(nogil=True)
def _convolution(
    row: Row, lists: Array, x: int, planes: int, y: int, y8: int, sums: int, part: int, parts: int,
    ahead: Array, regions: Array,
) -> None:  # fmt: skip
    first, last = share_of(row.out_rows, 1, part, parts)
    if first == last:
        return
    before = first * row.out_columns * row.channels
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    pad_bytes(
        x, row.in_channels, row.rows, row.columns, row.top, row.left, row.bottom, row.right,
        row.zero, planes, first * row.stride,
        (last - 1) * row.stride + row.kernel,
    )  # fmt: skip
    row_bytes = row.left + row.columns + row.right
    integer_convolve(
        planes + first * row.stride * row_bytes,
        row_bytes,
        row.stride,
        row.weights,
        row.depth,
        lists[row.input_offsets :].ctypes.data,
        panels,
        last - first,
        row.out_columns,
        row.stride,
        row.bias,
        row.factors,
        row.limits,
        row.numbers,
        row.activation,
        _further(y, before * FLOAT_BYTES),
        row.channels * FLOAT_BYTES,
        _further(y8, before),
        row.channels,
        sums,
        ahead,
        regions,
    )


@njit(nogil=True)
def _depthwise(
    row: Row, lists: Array, x: int, ring: int, y: int, y8: int, sums: int, part: int, parts: int,
    ahead: Array, regions: Array,
) -> None:  # fmt: skip
    """As `interpreter`'s in floats: where its input is a product, of that product row by row."""
    pixel = padded_bytes(row.channels)
    row_bytes = (row.left + row.columns + row.right) * pixel
    fill_ring(ring, row.kernel, row.left, row.columns, row.right, pixel, row.zero)
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    first_row, last_row, first_vector, last_vector = window_share(row, part, parts)
    done = max(first_row * row.stride - row.top, 0)
    for out_row in range(first_row, last_row):
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
                if row.expand_table:
                    look_up_in_place(to, row.columns * pixel, row.expand_table)
            else:
                copy_bytes_row(source, row.columns, row.channels, to, first_vector, last_vector)
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
            _further(y, before * FLOAT_BYTES),
            _further(y8, before),
            sums,
            first_vector,
            last_vector,
        )


@njit(nogil=True)
def _mixed_sum(
    row: Row, lists: Array, addresses: Array, strides: Array, stream: int, y: int, y8: int,
    part: int, parts: int,
) -> None:  # fmt: skip
    first, last = share_of(row.pixels, 4, part, parts)
    before = first * row.channels
    maps: Array = np.empty((MOST_MAPS, 2), np.int64)
    for index in range(row.list_size):
        at = row.list_start + 2 * index
        is_bytes = lists[at + 1]
        maps[index, 0] = _place(addresses, strides, lists[at], stream) + before * (
            1 if is_bytes else FLOAT_BYTES
        )
        maps[index, 1] = is_bytes
    mixed_sum(
        maps, row.list_size, last - first, row.channels, row.weights, row.bias, row.activation,
        row.numbers, _further(y, before * FLOAT_BYTES), _further(y8, before),
    )  # fmt: skip


@njit(nogil=True)
def _other(row: Row, a: int, b: int, y: int, y8: int, part: int, parts: int) -> None:
    code = row.code
    if code == Code.INTEGER_MEAN:
        numbers = floats_at(row.numbers, 2)
        first, last = vectors_share(row.channels, part, parts)
        mean_of_bytes(a, row.pixels, row.channels, numbers[0], numbers[1], y, first, last)
    elif code == Code.INTEGER_AVERAGE:
        first, last = share_of(row.out_rows, 1, part, parts)
        average_of_bytes(
            a, row.rows, row.columns, row.channels, row.kernel, row.stride, row.top, row.left,
            row.numbers, y8, first, last, row.out_columns,
        )  # fmt: skip
    elif code == Code.INTEGER_SCALE:
        first, last = share_of(row.pixels, 1, part, parts)
        before = first * row.channels
        multiply_to_bytes(
            a + before * FLOAT_BYTES, last - first, row.channels, b, row.numbers, y8 + before
        )
    elif code == Code.SCALE_BYTES:
        first, last = share_of(row.pixels, 1, part, parts)
        before = first * row.channels
        multiply_bytes(a + before, last - first, row.channels, b, row.numbers, y8 + before)
    elif code == Code.QUANTIZE:
        first, last = share_of(row.count, NUMBERS, part, parts)
        quantize(a + first * FLOAT_BYTES, last - first, row.numbers, y + first)
    elif code == Code.DEQUANTIZE:
        numbers = floats_at(row.numbers, 2)
        first, last = share_of(row.count, NUMBERS, part, parts)
        dequantize(a + first, last - first, numbers[0], numbers[1], y + first * FLOAT_BYTES)


@njit(nogil=True)
def run_integers(
    row: Row,
    lists: Array,
    addresses: Array,
    strides: Array,
    streams: int,
    part: int,
    parts: int,
    ahead: Array,
    regions: Array,
) -> None:
    """One operation of a code from ``INTEGER_DENSE`` on, or a share of it, for each stream."""
    code = row.code
    scratch = _place(addresses, strides, row.scratch, 0) + part * row.scratch_step
    sums = _place(addresses, strides, row.sums, 0) + part * row.sums_step
    if code == Code.INTEGER_DENSE:
        groups = streams if row.apart else 1
        for group in range(groups):
            _dense(
                row, lists, addresses, strides, group, streams // groups, sums, part, parts, ahead,
                regions,
            )  # fmt: skip
        return
    if code == Code.STORED_DENSE:
        _stored(row, lists, addresses[row.a], streams, addresses[row.output], part, parts)
        return
    if code == Code.PLANE_DENSE:
        _planes(row, lists, addresses[row.a], streams, addresses[row.output], scratch, part, parts)
        return
    for stream in range(streams):
        a = _place(addresses, strides, row.a, stream)
        y = _place(addresses, strides, row.output, stream)
        y8 = _place(addresses, strides, row.rounded, stream)
        if code == Code.INTEGER_DEPTHWISE:
            _depthwise(row, lists, a, scratch, y, y8, sums, part, parts, ahead, regions)
        elif code == Code.INTEGER_CONVOLUTION:
            a = frame_at(row, addresses, strides, stream)
            _convolution(row, lists, a, scratch, y, y8, sums, part, parts, ahead, regions)
        elif code == Code.MIXED_SUM:
            _mixed_sum(row, lists, addresses, strides, stream, y, y8, part, parts)
        else:
            _other(row, a, _place(addresses, strides, row.b, stream), y, y8, part, parts)
