"""Depthwise convolutions and average pools: small windows that move over every channel alone."""

import numpy as np

from paddlevideo.runtime.engines.compiled.access import (
    Array,
    activation_at,
    clear_floats,
    compiled,
    copy_floats,
    first_channel_of,
    padded_pixel,
    vectors_of,
)
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    VECTOR_BYTES,
    keep_apart,
    vactivate,
    vadd,
    vfma,
    vload,
    vmul,
    vsplat,
    vstore,
)
from paddlevideo.runtime.engines.compiled.table import LARGEST_KERNEL
from paddlevideo.runtime.engines.compiled.tiles import depthwise_span

_span_3, _span_5 = depthwise_span(3), depthwise_span(5)


@compiled
def span_of(
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
    """A run of outputs of one vector of channels; see `tiles.depthwise_span`."""
    keep_apart()
    table = rows.ctypes.data
    if kernel == 3:
        _span_3(table, at, step, pixel, w, ldw, y, ldy, count, bias, shortcut, activation)
        return
    if kernel == 5:
        _span_5(table, at, step, pixel, w, ldw, y, ldy, count, bias, shortcut, activation)
        return
    alpha, beta, low, high, multiply = activation_at(activation)
    for index in range(count):
        total = vload(bias)
        for ky in range(kernel):
            for kx in range(kernel):
                value = vload(rows[ky] + at + index * step + kx * pixel)
                total = vfma(value, vload(w + (ky * kernel + kx) * ldw), total)
        if shortcut:
            total = vadd(total, vload(shortcut + index * ldy))
        vstore(y + index * ldy, vactivate(total, alpha, beta, low, high, multiply))


@compiled
def clear_border(ring: int, kernel: int, left: int, columns: int, right: int, pixel: int) -> None:
    """Zeros left and right of the rows of a ring, and in the row of zeros after them."""
    row_bytes = (left + columns + right) * pixel
    for row in range(kernel):
        clear_floats(ring + row * row_bytes, left * pixel // FLOAT_BYTES)
        end = ring + row * row_bytes + (left + columns) * pixel
        clear_floats(end, right * pixel // FLOAT_BYTES)
    clear_floats(ring + kernel * row_bytes, row_bytes // FLOAT_BYTES)


@compiled
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
    first_vector: int,
    last_vector: int,
) -> None:
    """One row of a depthwise convolution, square kernel; weights [kernel * kernel, channels].

    The ring holds ``kernel`` rows of the padded input, each where its number leaves over when it is
    divided by ``kernel``, and a row of zeros for what is outside the map. ``first`` is the number
    of the first row under the kernel. The vectors ``first_vector`` to ``last_vector`` of each pixel
    are computed.
    """
    pixel, size = padded_pixel(channels), channels * FLOAT_BYTES
    under: Array = np.empty(LARGEST_KERNEL, np.int64)
    for ky in range(kernel):
        row = first + ky
        inside = 0 <= row < rows
        under[ky] = ring + (row % kernel if inside else kernel) * row_bytes
    for vector in range(first_vector, last_vector):
        at = first_channel_of(vector, channels) * FLOAT_BYTES
        added = shortcut + at if shortcut else 0
        span_of(
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


@compiled
def copy_row(x: int, columns: int, channels: int, y: int, first: int, last: int) -> None:
    """A row of pixels into one whose pixels begin with a cache line.

    Of each the vectors ``first`` to ``last``.
    """
    pixel, size = padded_pixel(channels), channels * FLOAT_BYTES
    at = first * VECTOR_BYTES
    count = min(last * LANES, channels) - first * LANES
    for column in range(columns):
        copy_floats(y + column * pixel + at, x + column * size + at, count)


@compiled
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
    first_out: int,
    last_out: int,
    out_columns: int,
) -> None:
    """Average pooling; what is outside the map does not count.

    The rows ``first_out`` to ``last_out`` of the result are computed.
    """
    size = channels * FLOAT_BYTES
    for out_row in range(first_out, last_out):
        first_row, last_row = (
            max(out_row * stride - top, 0),
            min(out_row * stride - top + kernel, rows),
        )
        for out_column in range(out_columns):
            start = out_column * stride - left
            first, last = max(start, 0), min(start + kernel, columns)
            share = vsplat(np.float32(1) / np.float32((last_row - first_row) * (last - first)))
            to = y + (out_row * out_columns + out_column) * size
            for vector in range(vectors_of(channels)):
                at = first_channel_of(vector, channels) * FLOAT_BYTES
                total = vsplat(np.float32(0))
                for row in range(first_row, last_row):
                    for column in range(first, last):
                        total = vadd(total, vload(x + (row * columns + column) * size + at))
                vstore(to + at, vmul(total, share))
