"""Run a table of operations: one compiled function, so that a step of a network is one call."""

from collections.abc import Callable

import numpy as np
from numba import njit

from paddlevideo.runtime.engines.compiled.access import (
    NONE,
    Array,
    Row,
    floats_at,
    frame_at,
    integers_at,
    padded_pixel,
)
from paddlevideo.runtime.engines.compiled.claims import WORDS, claim, finish, wait_for
from paddlevideo.runtime.engines.compiled.clip_time import run_between_frames
from paddlevideo.runtime.engines.compiled.integer_clip import run_integers_between_frames
from paddlevideo.runtime.engines.compiled.integer_steps import run_integers
from paddlevideo.runtime.engines.compiled.kernel_files import source_digest
from paddlevideo.runtime.engines.compiled.pointwise import (
    apply,
    combine,
    mean_of_pixels,
    multiply_channels,
    weighted_sum,
)
from paddlevideo.runtime.engines.compiled.product_call import product
from paddlevideo.runtime.engines.compiled.products import (
    ROWS_OF,
    convolve,
    gated_weights,
    pad_planes,
)
from paddlevideo.runtime.engines.compiled.shares import (
    NUMBERS,
    panels_share,
    share_of,
    vectors_share,
    window_share,
)
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES, LINE_BYTES, keep_apart
from paddlevideo.runtime.engines.compiled.stage_walk import (
    AT,
    ROWS,
    begin_walk,
    next_record,
    places_of,
)
from paddlevideo.runtime.engines.compiled.swish import swish_floats
from paddlevideo.runtime.engines.compiled.table import MOST_MAPS, Code, Split
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
    part: int,
    parts: int,
    ahead: Array,
    regions: Array,
) -> None:
    """A product. Where its input has a gate, each stream has its own copy of the weights."""
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    weights, groups, rows = row.weights, 1, streams * row.pixels
    gate = pairs = 0
    if row.apart:
        groups, rows = streams, row.pixels
    if row.products:
        pairs = addresses[row.pairs] + part * row.pairs_step
    elif row.gate >= 0:
        weights = addresses[row.scratch] + part * row.scratch_step
    if row.gate >= 0:
        groups, rows = streams, row.pixels
    first, last = 0, rows
    if row.split == Split.CHANNELS:
        panels = panels_share(panels, part, parts)
    elif row.split == Split.PIXELS:
        first, last = share_of(rows, ROWS_OF[panels[0, 1]], part, parts)
    lda, ldc = row.depth * FLOAT_BYTES, row.channels * FLOAT_BYTES
    for group in range(groups):
        added = 0
        if row.shortcut >= 0:
            added = addresses[row.shortcut] + group * strides[row.shortcut] + first * ldc
        if row.gate >= 0:
            gate = addresses[row.gate] + group * strides[row.gate]
            if not row.products:
                gated_weights(row.weights, panels, row.depth, gate, weights)
        output = addresses[row.output] + group * strides[row.output] + first * ldc
        product(
            row.products,
            gate,
            pairs,
            addresses[row.a] + group * strides[row.a] + first * lda,
            lda,
            last - first,
            panels,
            weights,
            row.depth,
            output,
            ldc,
            row.bias,
            added,
            row.activation,
            ahead,
            regions,
        )
        if row.swish:
            swish_floats(output, (last - first) * row.channels)


@njit(nogil=True)
def _convolution(
    row: Row, lists: Array, a: int, output: int, scratch: int, part: int, parts: int, ahead: Array,
    regions: Array,
) -> None:  # fmt: skip
    first, last = share_of(row.out_rows, 1, part, parts)
    if first == last:
        return
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
        first * row.stride,
        (last - 1) * row.stride + row.kernel,
    )
    row_bytes = (row.left + row.columns + row.right) * FLOAT_BYTES
    output += first * row.out_columns * row.channels * FLOAT_BYTES
    convolve(
        scratch + first * row.stride * row_bytes,
        row_bytes,
        row.stride * FLOAT_BYTES,
        row.weights,
        row.depth,
        lists[row.input_offsets :].ctypes.data,
        panels,
        output,
        last - first,
        row.out_columns,
        row.channels * FLOAT_BYTES,
        row.bias,
        row.stride,
        row.activation,
        ahead,
        regions,
    )
    if row.swish:
        swish_floats(output, (last - first) * row.out_columns * row.channels)


@njit(nogil=True)
def _depthwise(
    row: Row, lists: Array, x: int, y: int, shortcut: int, ring: int, pairs: int, part: int,
    parts: int, ahead: Array, regions: Array,
) -> None:  # fmt: skip
    """A depthwise convolution; where its input is a product, of that product row by row.

    The wide map between the two is then never written: a few rows of it stay in the cache.
    """
    pixel = padded_pixel(row.channels)
    row_bytes = (row.left + row.columns + row.right) * pixel
    clear_border(ring, row.kernel, row.left, row.columns, row.right, pixel)
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    out_bytes = row.out_columns * row.channels * FLOAT_BYTES
    first_row, last_row, first_vector, last_vector = window_share(row, part, parts)
    done = max(first_row * row.stride - row.top, 0)
    for out_row in range(first_row, last_row):
        first = out_row * row.stride - row.top
        while done < min(first + row.kernel, row.rows):
            to = ring + done % row.kernel * row_bytes + row.left * pixel
            source = x + done * row.columns * row.in_channels * FLOAT_BYTES
            if row.list_size:
                product(
                    row.products,
                    NONE,
                    pairs,
                    source,
                    row.in_channels * FLOAT_BYTES,
                    row.columns,
                    panels,
                    row.expand_weights,
                    row.in_channels,
                    to,
                    pixel,
                    row.expand_bias,
                    NONE,
                    row.expand_activation,
                    ahead,
                    regions,
                )
                if row.expand_swish:
                    swish_floats(to, row.columns * pixel // FLOAT_BYTES)
            else:
                copy_row(source, row.columns, row.channels, to, first_vector, last_vector)
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
            first_vector,
            last_vector,
        )
        if row.swish:
            swish_floats(y + out_row * out_bytes, row.out_columns * row.channels)


@njit(nogil=True)
def _weighted_sum(
    row: Row, lists: Array, addresses: Array, strides: Array, stream: int, output: int, part: int,
    parts: int,
) -> None:  # fmt: skip
    first, last = share_of(row.pixels, 4, part, parts)
    before = first * row.channels * FLOAT_BYTES
    maps: Array = np.empty(MOST_MAPS, np.int64)
    for index in range(row.list_size):
        slot = lists[row.list_start + index]
        maps[index] = addresses[slot] + stream * strides[slot] + before
    weighted_sum(
        maps, row.list_size, last - first, row.channels, row.weights, output + before, row.bias,
        row.activation,
    )  # fmt: skip
    if row.swish:
        swish_floats(output + before, (last - first) * row.channels)


@njit(nogil=True)
def _concat(
    row: Row, lists: Array, addresses: Array, strides: Array, stream: int, output: int
) -> None:
    result = floats_at(output, row.count)
    at = 0
    for index in range(row.list_size):
        slot, size = lists[row.list_start + 2 * index], lists[row.list_start + 2 * index + 1]
        source = floats_at(addresses[slot] + stream * strides[slot], size)
        for channel in range(size):
            result[at + channel] = source[channel]
        at += size


@njit(nogil=True)
def _other(row: Row, a: int, b: int, output: int, part: int, parts: int) -> None:
    code = row.code
    if code == Code.MEAN:
        first, last = vectors_share(row.channels, part, parts)
        mean_of_pixels(a, row.pixels, row.channels, output, first, last)
    elif code == Code.SCALE:
        first, last = share_of(row.pixels, 1, part, parts)
        before = first * row.channels * FLOAT_BYTES
        multiply_channels(a + before, last - first, row.channels, b, output + before)
    elif code == Code.COMBINE:
        combine(a, row.size_a, b, row.size_b, row.kind, output, row.count)
    elif code == Code.FUNCTION:
        first, last = share_of(row.count, NUMBERS, part, parts)
        before = first * FLOAT_BYTES
        apply(a + before, row.kind, row.activation, output + before, last - first)
    elif code == Code.COUNT_UP:
        integers_at(output, 1)[0] = integers_at(a, 1)[0] + row.size_a
    elif code == Code.NUMBER:
        floats_at(output, 1)[0] = np.float32(integers_at(a, 1)[0])
    elif code == Code.AVERAGE:
        first, last = share_of(row.out_rows, 1, part, parts)
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
            first,
            last,
            row.out_columns,
        )


@njit(nogil=True)
def _regions(
    later: Array, addresses: Array, strides: Array, streams: int, part: int, parts: int
) -> Array:
    """Where the memory lies that operations will need: first and last address of each.

    Of what is read in shares it is this thread's.
    """
    regions = np.empty((later.shape[0], 2), np.int64)
    for index in range(later.shape[0]):
        slot, address, size, shared = later[index]
        if slot >= 0:
            address, size = addresses[slot], strides[slot] * streams
        first, last = 0, size
        if shared and parts > 1:
            first, last = share_of(size, LINE_BYTES, part, parts)
        regions[index, 0], regions[index, 1] = address + first, address + last
    return regions


@njit(nogil=True)
def _operation(
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
    """One operation, or a share of it, for each stream."""
    keep_apart()
    if row.split == Split.NONE:
        if part > 0:
            return
        parts = 1
    # What is still to come may not be what this operation itself reads, nor too much.
    if ahead[2] < row.later_first:
        ahead[0], ahead[1], ahead[2] = 0, 0, row.later_first
    ahead[3] = row.later_end
    code = row.code
    if code == Code.DENSE:
        _dense(row, lists, addresses, strides, streams, part, parts, ahead, regions)
        return
    if code > Code.MIX:
        run_integers_between_frames(row, lists, addresses, strides, streams, ahead, regions)
        return
    if code > Code.FRAMES:
        run_between_frames(row, lists, addresses, strides, streams, ahead, regions)
        return
    if code >= Code.INTEGER_DENSE:
        run_integers(row, lists, addresses, strides, streams, part, parts, ahead, regions)
        return
    scratch = addresses[row.scratch] + part * row.scratch_step
    for stream in range(streams):
        a = addresses[row.a] + stream * strides[row.a]
        output = addresses[row.output] + stream * strides[row.output]
        if code == Code.DEPTHWISE:
            added = 0
            if row.shortcut >= 0:
                added = addresses[row.shortcut] + stream * strides[row.shortcut]
            pairs = addresses[row.pairs] + part * row.pairs_step if row.products else 0
            _depthwise(row, lists, a, output, added, scratch, pairs, part, parts, ahead, regions)
        elif code == Code.CONVOLUTION:
            a = frame_at(row, addresses, strides, stream)
            _convolution(row, lists, a, output, scratch, part, parts, ahead, regions)
        elif code == Code.WEIGHTED_SUM:
            _weighted_sum(row, lists, addresses, strides, stream, output, part, parts)
        elif code == Code.CONCAT:
            _concat(row, lists, addresses, strides, stream, output)
        else:
            _other(row, a, addresses[row.b] + stream * strides[row.b], output, part, parts)


def _make(version: str) -> Callable[..., None]:
    """The interpreter, not yet compiled; ``version`` makes numba tell one from another."""

    def run(
        table: Array, later: Array, lists: Array, addresses: Array, strides: Array, streams: int,
        part: int, parts: int, stages: Array, states: Array, let_others: int,
    ) -> None:  # fmt: skip
        """Run a program for each stream: with other threads, or one share of each operation.

        Or a stage of a clip, see `stage_walk`.
        """
        if not version:
            return
        places = places_of(table, addresses)
        regions = _regions(later, places, strides, streams, part, parts)
        ahead: Array = np.zeros(4, np.int64)
        if states.shape[0] == 0:
            walk = begin_walk(table, addresses, streams)
            while next_record(walk, table, lists, addresses, strides, places):
                row, rows = table[walk[AT]], walk[ROWS]
                _operation(row, lists, places, strides, rows, part, parts, ahead, regions)
            return
        for stage in range(stages.shape[0]):
            first, last, shares = stages[stage]
            state = states[stage * WORDS :].ctypes.data
            for turn in range(shares):
                share = (part + turn) % shares
                if not claim(state, share):
                    continue
                for index in range(first, last):
                    _operation(
                        table[index], lists, addresses, strides, streams, share, parts, ahead,
                        regions,
                    )  # fmt: skip
                finish(state)
            wait_for(state, shares, let_others)

    return run


program_loop = _make(source_digest())
"""What `kernel_loader` compiles."""
