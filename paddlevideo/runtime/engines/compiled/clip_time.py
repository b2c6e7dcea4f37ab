"""Operations between the frames of a clip: kernels over time, and sums over frames.

A map of a clip holds its frames one behind the other, or some of them: a ring of ``kept`` frames,
in which frame f lies where f leaves over when it is divided by ``kept``.
"""

import numpy as np
from numba import njit

from paddlevideo.runtime.engines.compiled.access import (
    NONE,
    Array,
    Row,
    activation_at,
    compiled,
    first_channel_of,
    floats_at,
    integers_at,
    padded_pixel,
    vectors_of,
)
from paddlevideo.runtime.engines.compiled.product_call import product
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    vactivate,
    vfma,
    vload,
    vsplat,
    vstore,
)
from paddlevideo.runtime.engines.compiled.swish import swish_floats
from paddlevideo.runtime.engines.compiled.table import LARGEST_KERNEL, MOST_MAPS, Code
from paddlevideo.runtime.engines.compiled.windows import clear_border, copy_row, span_of


@njit(nogil=True)
def pad_frame(
    row: Row, lists: Array, x: int, y: int, pairs: int, ahead: Array, regions: Array
) -> None:
    """A frame's map, or a product of it, with zeros left and right of it and a row of zeros below.

    Each pixel of the result begins with a cache line.
    """
    pixel = padded_pixel(row.channels)
    row_bytes = (row.left + row.columns + row.right) * pixel
    clear_border(y, row.rows, row.left, row.columns, row.right, pixel)
    panels = lists[row.list_start : row.list_start + 3 * row.list_size].reshape((row.list_size, 3))
    for line in range(row.rows):
        to = y + line * row_bytes + row.left * pixel
        source = x + line * row.columns * row.in_channels * FLOAT_BYTES
        if row.list_size == 0:
            copy_row(source, row.columns, row.channels, to, NONE, vectors_of(row.channels))
            continue
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


@compiled
def _frames_seen(
    row: Row, lists: Array, addresses: Array, strides: Array, frame: int, seen: Array
) -> int:
    """Where the frames under a kernel lie, and their weights: those before and after are zeros.

    Returns:
        How many there are.
    """
    kept, stride, count = row.size_a, strides[row.a], 0
    begin = addresses[row.a] - integers_at(addresses[row.b], 1)[0] % kept * stride
    weights = row.kernel * row.kernel * row.channels * FLOAT_BYTES
    for tap in range(row.list_size):
        other = frame + lists[row.list_start + tap]
        if 0 <= other < row.size_b:
            seen[count, 0] = begin + other % kept * stride
            seen[count, 1] = row.weights + tap * weights
            count += 1
    return count


@compiled
def _row_of_frames(row: Row, seen: Array, count: int, out_row: int, zeros: int, y: int) -> None:
    """One row of a kernel over time: windows of each frame are added up in their place."""
    pixel, size = padded_pixel(row.channels), row.channels * FLOAT_BYTES
    row_bytes = (row.left + row.columns + row.right) * pixel
    under: Array = np.empty(LARGEST_KERNEL, np.int64)
    for vector in range(vectors_of(row.channels)):
        at = first_channel_of(vector, row.channels) * FLOAT_BYTES
        added = 0
        for tap in range(count):
            for ky in range(row.kernel):
                line = out_row * row.stride - row.top + ky
                inside = 0 <= line < row.rows
                under[ky] = seen[tap, 0] + (line if inside else row.rows) * row_bytes
            last = tap == count - 1
            span_of(
                row.kernel,
                under,
                at,
                row.stride * pixel,
                pixel,
                seen[tap, 1] + at,
                size,
                y + at,
                size,
                row.out_columns,
                zeros if added else row.bias + at,
                added,
                row.activation if last else row.offsets,
            )
            added = y + at


@compiled
def _thin_row_of_frames(row: Row, seen: Array, count: int, out_row: int, y: int) -> None:
    """The same in registers: of fewer channels than a vector, sums may not be read again."""
    pixel, size = padded_pixel(row.channels), row.channels * FLOAT_BYTES
    row_bytes = (row.left + row.columns + row.right) * pixel
    alpha, beta, low, high, multiply = activation_at(row.activation)
    for column in range(row.out_columns):
        for vector in range(vectors_of(row.channels)):
            at = first_channel_of(vector, row.channels) * FLOAT_BYTES
            total = vload(row.bias + at)
            for tap in range(count):
                for ky in range(row.kernel):
                    line = out_row * row.stride - row.top + ky
                    if not 0 <= line < row.rows:
                        continue
                    start = seen[tap, 0] + line * row_bytes + column * row.stride * pixel + at
                    for kx in range(row.kernel):
                        weight = vload(seen[tap, 1] + (ky * row.kernel + kx) * size + at)
                        total = vfma(vload(start + kx * pixel), weight, total)
            vstore(y + column * size + at, vactivate(total, alpha, beta, low, high, multiply))


@compiled
def _pixels_of_frames(row: Row, seen: Array, count: int, y: int) -> None:
    """A kernel over time that sees one pixel of each frame."""
    size = row.channels * FLOAT_BYTES
    alpha, beta, low, high, multiply = activation_at(row.activation)
    for pixel in range(0, row.pixels - row.pixels % 2, 2):
        for vector in range(vectors_of(row.channels)):
            at = first_channel_of(vector, row.channels) * FLOAT_BYTES
            start = pixel * size + at
            one = two = vload(row.bias + at)
            for tap in range(count):
                source, weight = seen[tap, 0] + start, vload(seen[tap, 1] + at)
                one = vfma(vload(source), weight, one)
                two = vfma(vload(source + size), weight, two)
            vstore(y + start, vactivate(one, alpha, beta, low, high, multiply))
            vstore(y + start + size, vactivate(two, alpha, beta, low, high, multiply))
    if row.pixels % 2:
        for vector in range(vectors_of(row.channels)):
            at = first_channel_of(vector, row.channels) * FLOAT_BYTES
            start = (row.pixels - 1) * size + at
            one = vload(row.bias + at)
            for tap in range(count):
                one = vfma(vload(seen[tap, 0] + start), vload(seen[tap, 1] + at), one)
            vstore(y + start, vactivate(one, alpha, beta, low, high, multiply))


@njit(nogil=True)
def kernel_over_time(row: Row, lists: Array, addresses: Array, strides: Array, frames: int) -> None:
    """A depthwise convolution over some frames of a clip, each with those around it.

    The map ``b`` holds the number of the first of them, at which ``a`` and ``output`` lie.
    """
    first = integers_at(addresses[row.b], 1)[0]
    seen: Array = np.empty((MOST_MAPS, 2), np.int64)
    zeros: Array = np.zeros(LANES, np.float32)
    row_bytes = row.out_columns * row.channels * FLOAT_BYTES
    for number in range(frames):
        count = _frames_seen(row, lists, addresses, strides, first + number, seen)
        y = addresses[row.output] + number * strides[row.output]
        if row.kernel == 1 and row.stride == 1:
            _pixels_of_frames(row, seen, count, y)
        else:
            for out_row in range(row.out_rows):
                to = y + out_row * row_bytes
                if row.channels < LANES or count == 0:
                    _thin_row_of_frames(row, seen, count, out_row, to)
                else:
                    _row_of_frames(row, seen, count, out_row, zeros.ctypes.data, to)
        if row.swish:
            swish_floats(y, row.count)


@njit(nogil=True)
def mix_frames(row: Row, addresses: Array, strides: Array) -> None:
    """A constant matrix [frames out, frames in] times the frames of a clip, each one pixel."""
    for made in range(row.size_b):
        y = addresses[row.output] + made * strides[row.output]
        weights = floats_at(row.weights + made * row.size_a * FLOAT_BYTES, row.size_a)
        for vector in range(vectors_of(row.channels)):
            at = first_channel_of(vector, row.channels) * FLOAT_BYTES
            total = vsplat(np.float32(0))
            for frame in range(row.size_a):
                source = addresses[row.a] + frame * strides[row.a] + at
                total = vfma(vload(source), vsplat(weights[frame]), total)
            vstore(y + at, total)


@njit(nogil=True)
def run_between_frames(
    row: Row,
    lists: Array,
    addresses: Array,
    strides: Array,
    frames: int,
    ahead: Array,
    regions: Array,
) -> None:
    """One of these operations, for some frames one behind the other."""
    if row.code == Code.TEMPORAL:
        kernel_over_time(row, lists, addresses, strides, frames)
    elif row.code == Code.MIX:
        mix_frames(row, addresses, strides)
    elif row.code == Code.PADDED:
        for frame in range(frames):
            x = addresses[row.a] + frame * strides[row.a]
            y = addresses[row.output] + frame * strides[row.output]
            pairs = addresses[row.pairs] if row.products else 0
            pad_frame(row, lists, x, y, pairs, ahead, regions)
