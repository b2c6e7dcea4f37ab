"""Run a table of operations: one compiled function, so that a step of a network is one call."""

from collections.abc import Callable

import numpy as np
from numba import njit

from paddlevideo.runtime.engines.compiled.access import (
    Array,
    Row,
    floats_at,
    integers_at,
    padded_pixel,
)
from paddlevideo.runtime.engines.compiled.clip_time import run_between_frames
from paddlevideo.runtime.engines.compiled.integer_steps import run_integers
from paddlevideo.runtime.engines.compiled.kernel_files import source_digest
from paddlevideo.runtime.engines.compiled.pointwise import (
    apply,
    combine,
    mean_of_pixels,
    multiply_channels,
    weighted_sum,
)
from paddlevideo.runtime.engines.compiled.products import convolve, dense, gated_weights, pad_planes
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES
from paddlevideo.runtime.engines.compiled.stage_walk import (
    AT,
    ROWS,
    begin_walk,
    next_record,
    places_of,
)
from paddlevideo.runtime.engines.compiled.swish import swish_floats
from paddlevideo.runtime.engines.compiled.table import MOST_MAPS, Code
from paddlevideo.runtime.engines.compiled.windows import (
    average,
    clear_border,
    copy_row,
    depthwise_row,
)


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
    """A product. Where its input has a gate, each stream has its own copy of the weights."""
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    weights, parts, rows = row.weights, 1, streams * row.pixels
    if row.apart:
        parts, rows = streams, row.pixels
    if row.gate >= 0:
        weights, parts, rows = addresses[row.scratch], streams, row.pixels
    for part in range(parts):
        added = 0
        if row.shortcut >= 0:
            added = addresses[row.shortcut] + part * strides[row.shortcut]
        if row.gate >= 0:
            gate = addresses[row.gate] + part * strides[row.gate]
            gated_weights(row.weights, panels, row.depth, gate, weights)
        output = addresses[row.output] + part * strides[row.output]
        dense(
            addresses[row.a] + part * strides[row.a],
            row.depth * FLOAT_BYTES,
            rows,
            panels,
            weights,
            row.depth,
            output,
            row.channels * FLOAT_BYTES,
            row.bias,
            added,
            row.activation,
            ahead,
            regions,
        )
        if row.swish:
            swish_floats(output, rows * row.channels)


@njit(nogil=True)
def _convolution(
    row: Row, lists: Array, a: int, output: int, scratch: int, ahead: Array, regions: Array
) -> None:
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    pad_planes(
        a,
        row.is_bytes,
        row.in_channels,
        row.rows,
        row.columns,
        row.top,
        row.left,
        row.bottom,
        row.right,
        row.offsets,
        scratch,
    )
    convolve(
        scratch,
        (row.left + row.columns + row.right) * FLOAT_BYTES,
        row.stride * FLOAT_BYTES,
        row.weights,
        row.depth,
        lists[row.input_offsets :].ctypes.data,
        panels,
        output,
        row.out_rows,
        row.out_columns,
        row.channels * FLOAT_BYTES,
        row.bias,
        row.stride,
        row.activation,
        ahead,
        regions,
    )
    if row.swish:
        swish_floats(output, row.count)


@njit(nogil=True)
def _depthwise(
    row: Row, lists: Array, x: int, y: int, shortcut: int, ring: int, ahead: Array, regions: Array
) -> None:
    """A depthwise convolution; where its input is a product, of that product row by row.

    The wide map between the two is then never written: a few rows of it stay in the cache.
    """
    pixel = padded_pixel(row.channels)
    row_bytes = (row.left + row.columns + row.right) * pixel
    clear_border(ring, row.kernel, row.left, row.columns, row.right, pixel)
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    out_bytes = row.out_columns * row.channels * FLOAT_BYTES
    done = 0
    for out_row in range(row.out_rows):
        first = out_row * row.stride - row.top
        while done < min(first + row.kernel, row.rows):
            to = ring + done % row.kernel * row_bytes + row.left * pixel
            source = x + done * row.columns * row.in_channels * FLOAT_BYTES
            if row.list_size:
                dense(
                    source,
                    row.in_channels * FLOAT_BYTES,
                    row.columns,
                    panels,
                    row.expand_weights,
                    row.in_channels,
                    to,
                    pixel,
                    row.expand_bias,
                    0,
                    row.expand_activation,
                    ahead,
                    regions,
                )
                if row.expand_swish:
                    swish_floats(to, row.columns * pixel // FLOAT_BYTES)
            else:
                copy_row(source, row.columns, row.channels, to)
            done += 1
        depthwise_row(
            ring,
            row_bytes,
            first,
            row.rows,
            row.channels,
            row.kernel,
            row.stride,
            row.weights,
            y + out_row * out_bytes,
            row.out_columns,
            row.bias,
            shortcut + out_row * out_bytes if shortcut else 0,
            row.activation,
        )
        if row.swish:
            swish_floats(y + out_row * out_bytes, row.out_columns * row.channels)


@njit(nogil=True)
def _weighted_sum(
    row: Row, lists: Array, addresses: Array, strides: Array, stream: int, output: int
) -> None:
    maps: Array = np.empty(MOST_MAPS, np.int64)
    for index in range(row.list_size):
        slot = lists[row.list_start + index]
        maps[index] = addresses[slot] + stream * strides[slot]
    weighted_sum(
        maps, row.list_size, row.pixels, row.channels, row.weights, output, row.bias, row.activation
    )
    if row.swish:
        swish_floats(output, row.count)


@njit(nogil=True)
def _concat(
    row: Row, lists: Array, addresses: Array, strides: Array, stream: int, output: int
) -> None:
    result = floats_at(output, row.count)
    at = 0
    for part in range(row.list_size):
        slot, size = lists[row.list_start + 2 * part], lists[row.list_start + 2 * part + 1]
        source = floats_at(addresses[slot] + stream * strides[slot], size)
        for channel in range(size):
            result[at + channel] = source[channel]
        at += size


@njit(nogil=True)
def _other(row: Row, a: int, b: int, output: int) -> None:
    code = row.code
    if code == Code.MEAN:
        mean_of_pixels(a, row.pixels, row.channels, output)
    elif code == Code.SCALE:
        multiply_channels(a, row.pixels, row.channels, b, output)
    elif code == Code.COMBINE:
        combine(a, row.size_a, b, row.size_b, row.kind, output, row.count)
    elif code == Code.FUNCTION:
        apply(a, row.kind, row.activation, output, row.count)
    elif code == Code.COUNT_UP:
        integers_at(output, 1)[0] = integers_at(a, 1)[0] + row.size_a
    elif code == Code.NUMBER:
        floats_at(output, 1)[0] = np.float32(integers_at(a, 1)[0])
    elif code == Code.AVERAGE:
        average(
            a,
            row.rows,
            row.columns,
            row.channels,
            row.kernel,
            row.stride,
            row.top,
            row.left,
            output,
            row.out_rows,
            row.out_columns,
        )


@njit(nogil=True)
def _regions(later: Array, addresses: Array, strides: Array, streams: int) -> Array:
    """Where the memory lies that operations will need: first and last address of each."""
    regions = np.empty((later.shape[0], 2), np.int64)
    for index in range(later.shape[0]):
        slot, address, size = later[index]
        if slot >= 0:
            address, size = addresses[slot], strides[slot] * streams
        regions[index, 0], regions[index, 1] = address, address + size
    return regions


def _make(version: str) -> Callable[..., None]:
    """The interpreter, not yet compiled; ``version`` makes numba tell one from another."""

    def run(
        table: Array, later: Array, lists: Array, addresses: Array, strides: Array, streams: int
    ) -> None:
        """Run a program for each stream, or a stage of a clip; see `stage_walk`."""
        if not version:
            return
        walk = begin_walk(table, addresses, streams)
        given, addresses = addresses, places_of(table, addresses)
        regions = _regions(later, addresses, strides, streams)
        ahead: Array = np.zeros(4, np.int64)
        while next_record(walk, table, lists, given, strides, addresses):
            row, streams = table[walk[AT]], walk[ROWS]
            # What is still to come may not be what this operation itself reads, nor too much.
            if ahead[2] < row.later_first:
                ahead[0], ahead[1], ahead[2] = 0, 0, row.later_first
            ahead[3] = row.later_end
            code = row.code
            if code == Code.DENSE:
                _dense(row, lists, addresses, strides, streams, ahead, regions)
                continue
            if code > Code.FRAMES:
                run_between_frames(row, lists, addresses, strides, streams, ahead, regions)
                continue
            if code >= Code.INTEGER_DENSE:
                run_integers(row, lists, addresses, strides, streams, ahead, regions)
                continue
            for stream in range(streams):
                a = addresses[row.a] + stream * strides[row.a]
                output = addresses[row.output] + stream * strides[row.output]
                if code == Code.DEPTHWISE:
                    added = 0
                    if row.shortcut >= 0:
                        added = addresses[row.shortcut] + stream * strides[row.shortcut]
                    ring = addresses[row.scratch]
                    _depthwise(row, lists, a, output, added, ring, ahead, regions)
                elif code == Code.CONVOLUTION:
                    _convolution(row, lists, a, output, addresses[row.scratch], ahead, regions)
                elif code == Code.WEIGHTED_SUM:
                    _weighted_sum(row, lists, addresses, strides, stream, output)
                elif code == Code.CONCAT:
                    _concat(row, lists, addresses, strides, stream, output)
                else:
                    _other(row, a, addresses[row.b] + stream * strides[row.b], output)

    return run


program_loop = _make(source_digest())
"""What `kernel_loader` compiles."""
