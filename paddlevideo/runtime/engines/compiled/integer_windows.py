"""Depthwise convolutions on 8 bits."""

import numpy as np

from paddlevideo.runtime.engines.compiled.access import (
    NONE,
    ONE,
    Array,
    compiled,
    fill_bytes,
    first_channel_of,
    padded_bytes,
)
from paddlevideo.runtime.engines.compiled.byte_tables import look_up
from paddlevideo.runtime.engines.compiled.integer_finish import finish
from paddlevideo.runtime.engines.compiled.integer_simd import FORM
from paddlevideo.runtime.engines.compiled.integer_tiles import fours_of, integer_span
from paddlevideo.runtime.engines.compiled.processor import Form
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    VECTOR_BYTES,
    Kernel,
    keep_apart,
    vload,
    vstore,
)
from paddlevideo.runtime.engines.compiled.table import INTEGER_WINDOWS, LARGEST_KERNEL


def packed_taps(weights: np.ndarray, kernel: int) -> np.ndarray:
    """Weights [kernel * kernel, channels] as `integer_span` reads them: [products, channels, 4]."""
    channels = weights.shape[1]
    fours = fours_of(kernel)
    packed = np.zeros((kernel, len(fours), channels, 4), np.int8)
    by_place = weights.reshape(kernel, kernel, channels)
    for number, places in enumerate(fours):
        for position, place in enumerate(places):
            if place >= 0:
                packed[:, number, :, position] = by_place[:, place]
    return packed.reshape(-1, channels, 4)


def spans_of(form: Form) -> Kernel:
    """A function of one vector of channels of a row, by the span of its kernel and stride.

    Its arguments: kernel and stride, and those of `integer_tiles.integer_span`.
    """
    span_31, span_32, span_51, span_52 = (
        integer_span(kernel, stride, form) for kernel, stride in INTEGER_WINDOWS
    )

    @compiled
    def run_span(
        kernel: int, stride: int, rows: int, at: int, pixel: int, w: int, ldw: int, y: int,
        ldy: int, count: int, bias: int, factors: int, limits: int,
    ) -> None:  # fmt: skip
        """The span; see above."""
        keep_apart()
        if kernel == 3 and stride == 1:
            span_31(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
        elif kernel == 3:
            span_32(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
        elif stride == 1:
            span_51(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)
        else:
            span_52(rows, at, pixel, w, ldw, y, ldy, count, bias, factors, limits)

    return run_span


def row_of(form: Form) -> Kernel:
    """A function of one row of a depthwise convolution on 8 bits, in one form of products.

    Its arguments: address of the ring, see `windows.depthwise_row`, whose pixels are bytes; bytes
    of its rows; number of the first row under the kernel; rows and channels of the map; kernel and
    stride; weights; number of outputs of the row; bias, factors and limits as `integer_tiles` says;
    and what follows, from ``numbers`` on, as in `integer_products.rows_of`; memory for the sums of
    one vector of channels of the row; first and end of the vectors of channels that are computed.
    """
    run_span = spans_of(form)
    sums_row, steps_row = np.int64(VECTOR_BYTES), np.int64(LANES)  # as `access.NONE`

    @compiled
    def depthwise_row(
        ring: int, row_bytes: int, first: int, rows: int, channels: int, kernel: int, stride: int,
        w: int, count: int, bias: int, factors: int, limits: int, numbers: int, activation: int,
        y: int, y8: int, sums: int, first_vector: int, last_vector: int,
    ) -> None:  # fmt: skip
        """One row; see above."""
        pixel = padded_bytes(channels)
        under: Array = np.empty(LARGEST_KERNEL, np.int64)
        for ky in range(kernel):
            row = first + ky
            inside = 0 <= row < rows
            under[ky] = ring + (row % kernel if inside else kernel) * row_bytes
        ldw = channels * 4
        for vector in range(first_vector, last_vector):
            table = under.ctypes.data  # here: numba frees an array behind what names it last
            at = first_channel_of(vector, channels)
            wide = at * FLOAT_BYTES
            to, ldto = sums, sums_row
            if limits and numbers:
                ldto = steps_row
            elif limits:
                to, ldto = y8 + at, channels
            run_span(
                kernel, stride, table, at, pixel, w + wide, ldw, to, ldto, count, bias + wide,
                factors + wide, limits,
            )  # fmt: skip
            if limits and numbers:
                look_up(sums, steps_row, count, ONE, numbers, y8 + at, channels)
            elif not limits:
                finish(
                    sums, sums_row, count, ONE, factors + wide, numbers, activation,
                    NONE, NONE, NONE, y + wide if y else 0, channels * FLOAT_BYTES,
                    y8 + at if y8 else 0, channels,
                )  # fmt: skip

    return depthwise_row


integer_depthwise_row = row_of(FORM)


@compiled
def fill_ring(
    ring: int, kernel: int, left: int, columns: int, right: int, pixel: int, zero: int
) -> None:
    """What stands for zero left and right of the rows of a ring, and in the row after them."""
    row_bytes = (left + columns + right) * pixel
    for row in range(kernel):
        fill_bytes(ring + row * row_bytes, left * pixel, zero)
        fill_bytes(ring + row * row_bytes + (left + columns) * pixel, right * pixel, zero)
    fill_bytes(ring + kernel * row_bytes, row_bytes, zero)


@compiled
def copy_bytes_row(x: int, columns: int, channels: int, y: int, first: int, last: int) -> None:
    """A row of pixels into one whose pixels begin with a cache line.

    At least the vectors of channels ``first`` to ``last`` of each.
    """
    pixel = padded_bytes(channels)
    start, end = first * LANES // VECTOR_BYTES * VECTOR_BYTES, min(last * LANES, channels)
    for column in range(columns):
        for part in range(start, end, VECTOR_BYTES):
            vstore(y + column * pixel + part, vload(x + column * channels + part))
