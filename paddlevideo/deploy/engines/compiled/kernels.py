"""The operations of a compiled program on maps in memory.

A map is [streams, rows, columns, channels]: the channels of a pixel lie side by side, so that one
vector holds several of them and every operation but the mean runs along the memory. Addresses are
integers; after each map lie `SLACK` bytes that may be read and overwritten, since the last vector
of a map with few channels reaches beyond it.

Where channels are no multiple of a vector, the last vector begins earlier and some channels are
computed twice. Maps of fewer channels than a vector are written pixel by pixel in rising order, so
that what reaches into the next pixel is overwritten by it.
"""

import math
from typing import Any

import numpy as np
from numba import carray, njit, types
from numba.core import cgutils

from paddlevideo.deploy.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    LINE_BYTES,
    REGISTERS,
    VECTOR_BYTES,
    operation,
    vactivate,
    vadd,
    vfma,
    vload,
    vmul,
    vsplat,
    vstore,
)
from paddlevideo.deploy.engines.compiled.tiles import depthwise_span, tile

SLACK = 2 * VECTOR_BYTES
_LARGEST_KERNEL = 16
Array = Any  # typed where it is compiled
_compiled = njit(nogil=True, cache=True)

ROWS = {1: 14, 2: 12, 3: 8} if REGISTERS == 32 else {1: 10, 2: 6, 3: 4}
_FEW = 4
_DISTANCE = 4096  # bytes by which weights are asked for in advance
_tile_1, _tile_2, _tile_3 = (tile(ROWS[n], n) for n in (1, 2, 3))
_few_1, _few_2, _few_3 = (tile(_FEW, n, lines=n) for n in (1, 2, 3))
_one_1, _one_2, _one_3 = (tile(1, n, lines=n) for n in (1, 2, 3))
_gather_1, _gather_few_1, _gather_one_1 = (
    tile(rows, 1, gather=True) for rows in (ROWS[1], _FEW, 1)
)
_span_3, _span_5 = depthwise_span(3), depthwise_span(5)


def panels_of(channels: int, widest: int = 3) -> list[tuple[int, int]]:
    """First channel and number of vectors of the panels that cover ``channels``.

    They are up to ``widest`` vectors wide, as even as can be; the last begins earlier where it
    would not fit.
    """
    vectors = -(-channels // LANES)
    count = -(-vectors // min(widest, max(channels // LANES, 1)))
    sizes = [vectors // count + (place < vectors % count) for place in range(count)]
    starts = [sum(sizes[:place]) * LANES for place in range(count)]
    return [
        (max(min(start, channels - size * LANES), 0), size)
        for start, size in zip(starts, sizes, strict=True)
    ]


@operation
def _pointer(typing_context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: list) -> Any:
        return builder.inttoptr(values[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), generate


@_compiled
def floats_at(address: int, count: int) -> Array:
    """The memory at an address as an array."""
    return carray(_pointer(address), (count,), np.float32)


@_compiled
def integers_at(address: int, count: int) -> Array:
    """The memory at an address as an array of 32-bit integers."""
    return carray(_pointer(address), (count,), np.int32)


@_compiled
def copy_floats(target: int, source: int, count: int) -> None:
    """Copy ``count`` floats; fewer than a vector are copied with what follows them."""
    size = count * FLOAT_BYTES
    place = 0
    while place + VECTOR_BYTES <= size:
        vstore(target + place, vload(source + place))
        place += VECTOR_BYTES
    if place < size:
        if size >= VECTOR_BYTES:
            place = size - VECTOR_BYTES
        vstore(target + place, vload(source + place))


@_compiled
def clear_floats(target: int, count: int) -> None:
    """Write ``count`` zeros."""
    floats = floats_at(target, count)
    floats[:] = np.float32(0)


@_compiled
def _ahead_of(ahead: Array, regions: Array, size: int, otherwise: int) -> int:
    """Where the next ``size`` bytes lie that a later operation needs; see `Ahead` in `table`."""
    if ahead[0] >= ahead[1]:
        if ahead[2] >= ahead[3]:
            return otherwise
        ahead[0], ahead[1] = regions[ahead[2], 0], regions[ahead[2], 1]
        ahead[2] += 1
    now = ahead[0]
    ahead[0] = now + size
    return now


def _rows_of(vectors: int, big: Any, few: Any, one: Any) -> Any:
    """A function of all rows of one panel: tiles of many rows, and of fewer at the end.

    Where there are enough rows the last tile begins earlier and computes some of them twice. With
    few rows the weights are what takes time: then they themselves are asked for in advance.
    """
    big_rows = ROWS[vectors]
    line, lines = LINE_BYTES, vectors * LINE_BYTES

    @njit(nogil=True)
    def run(
        a: int,
        lda: int,
        rows: int,
        b: int,
        depth: int,
        c: int,
        ldc: int,
        bias: int,
        shortcut: int,
        places: int,
        activation: int,
        ahead: Array,
        regions: Array,
    ) -> None:
        row, later = 0, b + _DISTANCE
        while row < rows:
            left = rows - row
            if left >= big_rows or (left > 2 * _FEW and rows >= big_rows):
                at = min(row, rows - big_rows)
                added = shortcut + at * ldc if shortcut else 0
                next_bytes = _ahead_of(ahead, regions, depth * line, b)
                x, y = a + at * lda, c + at * ldc
                big(x, lda, b, depth, y, ldc, bias, added, places, activation, next_bytes)
                row = at + big_rows
            elif left >= _FEW or rows >= _FEW:
                at = min(row, rows - _FEW)
                added = shortcut + at * ldc if shortcut else 0
                if rows >= big_rows:
                    later = _ahead_of(ahead, regions, depth * lines, b)
                x, y = a + at * lda, c + at * ldc
                few(x, lda, b, depth, y, ldc, bias, added, places, activation, later)
                row = at + _FEW
            else:
                added = shortcut + row * ldc if shortcut else 0
                x, y = a + row * lda, c + row * ldc
                one(x, lda, b, depth, y, ldc, bias, added, places, activation, later)
                row += 1

    return run


_panel_1 = _rows_of(1, _tile_1, _few_1, _one_1)
_panel_2 = _rows_of(2, _tile_2, _few_2, _one_2)
_panel_3 = _rows_of(3, _tile_3, _few_3, _one_3)
_gather_panel_1 = _rows_of(1, _gather_1, _gather_few_1, _gather_one_1)


@_compiled
def dense(
    a: int,
    lda: int,
    rows: int,
    panels: Array,
    b: int,
    depth: int,
    c: int,
    ldc: int,
    bias: int,
    shortcut: int,
    activation: int,
    ahead: Array,
    regions: Array,
) -> None:
    """``activation(a @ b + bias + shortcut)`` for ``rows`` pixels.

    ``panels`` [n, 3] says which columns lie together in b: the first one, how many vectors, and
    where in b, in bytes.
    """
    for place in range(panels.shape[0]):
        first, vectors, at = panels[place, 0] * FLOAT_BYTES, panels[place, 1], b + panels[place, 2]
        to, offsets = c + first, bias + first
        added = shortcut + first if shortcut else 0
        if vectors == 3:
            _panel_3(
                a, lda, rows, at, depth, to, ldc, offsets, added, 0, activation, ahead, regions
            )
        elif vectors == 2:
            _panel_2(
                a, lda, rows, at, depth, to, ldc, offsets, added, 0, activation, ahead, regions
            )
        else:
            _panel_1(
                a, lda, rows, at, depth, to, ldc, offsets, added, 0, activation, ahead, regions
            )


@_compiled
def convolve(
    x: int,
    row_bytes: int,
    step: int,
    b: int,
    depth: int,
    places: int,
    panels: Array,
    y: int,
    out_rows: int,
    out_columns: int,
    ldc: int,
    bias: int,
    stride: int,
    activation: int,
    ahead: Array,
    regions: Array,
) -> None:
    """A full convolution of a padded map; ``places``: bytes from an output's first input to each.

    ``step`` is the bytes between the first inputs of two outputs of a row, ``row_bytes`` those
    between two rows of the input.
    """
    for row in range(out_rows):
        source, to = x + row * stride * row_bytes, y + row * out_columns * ldc
        for panel in range(panels.shape[0]):
            first, at = panels[panel, 0] * FLOAT_BYTES, b + panels[panel, 2]
            _gather_panel_1(
                source,
                step,
                out_columns,
                at,
                depth,
                to + first,
                ldc,
                bias + first,
                0,
                places,
                activation,
                ahead,
                regions,
            )


@_compiled
def pad_planes(
    x: int,
    is_bytes: int,
    planes: int,
    rows: int,
    columns: int,
    top: int,
    left: int,
    bottom: int,
    right: int,
    offsets: int,
    y: int,
) -> None:
    """Copy a frame [planes, rows, columns] of bytes or floats into padded planes of floats.

    ``offsets``, one for each plane, are added to the frame, not to the padding.
    """
    wide, high = left + columns + right, top + rows + bottom
    size = planes * rows * columns
    pixels = carray(_pointer(x), (size,), np.uint8)
    values = carray(_pointer(x), (size,), np.float32)
    offset = floats_at(offsets, planes)
    clear_floats(y, planes * high * wide)
    target = floats_at(y, planes * high * wide)
    for plane in range(planes):
        for row in range(rows):
            at = (plane * high + top + row) * wide + left
            line, start = target[at : at + columns], (plane * rows + row) * columns
            if is_bytes:
                for column in range(columns):
                    line[column] = np.float32(pixels[start + column]) + offset[plane]
            else:
                for column in range(columns):
                    line[column] = values[start + column] + offset[plane]


@_compiled
def _span_of(
    kernel: int,
    rows: Array,
    at: int,
    step: int,
    pixel: int,
    w: int,
    ldw: int,
    y: int,
    ldy: int,
    count: int,
    bias: int,
    shortcut: int,
    activation: int,
) -> None:
    table = rows.ctypes.data
    if kernel == 3:
        _span_3(table, at, step, pixel, w, ldw, y, ldy, count, bias, shortcut, activation)
        return
    if kernel == 5:
        _span_5(table, at, step, pixel, w, ldw, y, ldy, count, bias, shortcut, activation)
        return
    alpha, beta, low, high, multiply = _activation_at(activation)
    for place in range(count):
        total = vload(bias)
        for ky in range(kernel):
            for kx in range(kernel):
                value = vload(rows[ky] + at + place * step + kx * pixel)
                total = vfma(value, vload(w + (ky * kernel + kx) * ldw), total)
        if shortcut:
            total = vadd(total, vload(shortcut + place * ldy))
        vstore(y + place * ldy, vactivate(total, alpha, beta, low, high, multiply))


@_compiled
def _activation_at(address: int) -> Any:
    alpha, beta, low, high, multiply = floats_at(address, 5)
    return vsplat(alpha), vsplat(beta), vsplat(low), vsplat(high), int(multiply)


@_compiled
def _vectors_of(channels: int) -> int:
    return (channels + LANES - 1) // LANES


@_compiled
def _place_of(vector: int, channels: int) -> int:
    """First channel of a vector: the last one begins earlier where it would not fit."""
    return max(min(vector * LANES, channels - LANES), 0)


@_compiled
def padded_pixel(channels: int) -> int:
    """Bytes of a pixel whose channels begin with a cache line each time."""
    return (channels * FLOAT_BYTES + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES


@_compiled
def clear_border(ring: int, kernel: int, left: int, columns: int, right: int, pixel: int) -> None:
    """Zeros left and right of the rows of a ring, and in the row of zeros after them."""
    row_bytes = (left + columns + right) * pixel
    for row in range(kernel):
        clear_floats(ring + row * row_bytes, left * pixel // FLOAT_BYTES)
        end = ring + row * row_bytes + (left + columns) * pixel
        clear_floats(end, right * pixel // FLOAT_BYTES)
    clear_floats(ring + kernel * row_bytes, row_bytes // FLOAT_BYTES)


@_compiled
def depthwise_row(
    ring: int,
    row_bytes: int,
    first: int,
    rows: int,
    channels: int,
    kernel: int,
    stride: int,
    w: int,
    y: int,
    count: int,
    bias: int,
    shortcut: int,
    activation: int,
) -> None:
    """One row of a depthwise convolution, square kernel; weights [kernel * kernel, channels].

    The ring holds ``kernel`` rows of the padded input, each where its number leaves over when it is
    divided by ``kernel``, and a row of zeros for what is outside the map. ``first`` is the number
    of the first row under the kernel.
    """
    pixel, size = padded_pixel(channels), channels * FLOAT_BYTES
    under: Array = np.empty(_LARGEST_KERNEL, np.int64)
    for ky in range(kernel):
        row = first + ky
        inside = 0 <= row < rows
        under[ky] = ring + (row % kernel if inside else kernel) * row_bytes
    for vector in range(_vectors_of(channels)):
        at = _place_of(vector, channels) * FLOAT_BYTES
        added = shortcut + at if shortcut else 0
        _span_of(
            kernel,
            under,
            at,
            stride * pixel,
            pixel,
            w + at,
            size,
            y + at,
            size,
            count,
            bias + at,
            added,
            activation,
        )


@_compiled
def copy_row(x: int, columns: int, channels: int, y: int) -> None:
    """A row of pixels into one whose pixels begin with a cache line."""
    pixel, size = padded_pixel(channels), channels * FLOAT_BYTES
    for column in range(columns):
        copy_floats(y + column * pixel, x + column * size, channels)


@_compiled
def weighted_sum(
    maps: Array,
    count: int,
    pixels: int,
    channels: int,
    w: int,
    y: int,
    bias: int,
    activation: int,
) -> None:
    """``activation(sum of map * weight + bias)`` over ``count`` maps at the addresses ``maps``.

    The weights are [count, channels]: a depthwise convolution over time.
    """
    size = channels * FLOAT_BYTES
    alpha, beta, low, high, multiply = _activation_at(activation)
    for pixel in range(pixels):
        start = pixel * size
        for vector in range(_vectors_of(channels)):
            at = _place_of(vector, channels) * FLOAT_BYTES
            total = vload(bias + at)
            for place in range(count):
                value = vload(maps[place] + start + at)
                total = vfma(value, vload(w + place * size + at), total)
            vstore(y + start + at, vactivate(total, alpha, beta, low, high, multiply))


@_compiled
def mean_of_pixels(x: int, pixels: int, channels: int, y: int) -> None:
    """The mean over a map, [channels]."""
    size = channels * FLOAT_BYTES
    share = vsplat(np.float32(1) / np.float32(pixels))
    for vector in range(_vectors_of(channels)):
        at = _place_of(vector, channels) * FLOAT_BYTES
        even = vsplat(np.float32(0))
        odd = vsplat(np.float32(0))
        place, end = x + at, x + at + (pixels - pixels % 2) * size
        while place < end:
            even = vadd(even, vload(place))
            odd = vadd(odd, vload(place + size))
            place += 2 * size
        if pixels % 2:
            even = vadd(even, vload(place))
        vstore(y + at, vmul(vadd(even, odd), share))


@_compiled
def multiply_channels(x: int, pixels: int, channels: int, factors: int, y: int) -> None:
    """A map times one factor for each channel."""
    size = channels * FLOAT_BYTES
    for pixel in range(pixels):
        for vector in range(_vectors_of(channels)):
            at = _place_of(vector, channels) * FLOAT_BYTES
            vstore(y + pixel * size + at, vmul(vload(x + pixel * size + at), vload(factors + at)))


@_compiled
def average(
    x: int,
    rows: int,
    columns: int,
    channels: int,
    kernel: int,
    stride: int,
    top: int,
    left: int,
    y: int,
    out_rows: int,
    out_columns: int,
) -> None:
    """Average pooling; what is outside the map does not count."""
    size = channels * FLOAT_BYTES
    for out_row in range(out_rows):
        first_row, last_row = (
            max(out_row * stride - top, 0),
            min(out_row * stride - top + kernel, rows),
        )
        for out_column in range(out_columns):
            start = out_column * stride - left
            first, last = max(start, 0), min(start + kernel, columns)
            share = vsplat(np.float32(1) / np.float32((last_row - first_row) * (last - first)))
            to = y + (out_row * out_columns + out_column) * size
            for vector in range(_vectors_of(channels)):
                at = _place_of(vector, channels) * FLOAT_BYTES
                total = vsplat(np.float32(0))
                for row in range(first_row, last_row):
                    for column in range(first, last):
                        total = vadd(total, vload(x + (row * columns + column) * size + at))
                vstore(to + at, vmul(total, share))


@_compiled
def combine(
    a: int, a_count: int, b: int, b_count: int, is_product: int, y: int, count: int
) -> None:
    """Sum or product of two short rows of floats; one that has a single number lends it to all."""
    left, right, result = floats_at(a, a_count), floats_at(b, b_count), floats_at(y, count)
    for place in range(count):
        one = left[place if a_count > 1 else 0]
        other = right[place if b_count > 1 else 0]
        result[place] = one * other if is_product else one + other


FUNCTIONS = ("clip", "sigmoid", "silu", "sine", "cosine", "reciprocal")
_CLIP, _SIGMOID, _SILU, _SINE, _COSINE = range(5)


@_compiled
def apply(x: int, kind: int, activation: int, y: int, count: int) -> None:
    """A function of each number."""
    values, result = floats_at(x, count), floats_at(y, count)
    alpha, beta, low, high, multiply = floats_at(activation, 5)
    for place in range(count):
        value = values[place]
        if kind == _CLIP:
            bounded = min(max(value * alpha + beta, low), high)
            result[place] = bounded * value if multiply else bounded
        elif kind == _SIGMOID:
            result[place] = np.float32(1) / (np.float32(1) + np.float32(math.exp(-value)))
        elif kind == _SILU:
            result[place] = value / (np.float32(1) + np.float32(math.exp(-value)))
        elif kind == _SINE:
            result[place] = np.float32(math.sin(value))
        elif kind == _COSINE:
            result[place] = np.float32(math.cos(value))
        else:
            result[place] = np.float32(1) / value
