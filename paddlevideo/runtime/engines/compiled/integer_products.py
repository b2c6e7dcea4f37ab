"""Products on 8 bits: dense layers of pixels, and the convolution of a frame."""

import numpy as np
from numba import njit

from paddlevideo.runtime.engines.compiled.access import (
    NONE,
    Array,
    compiled,
    copy_bytes,
    fill_bytes,
)
from paddlevideo.runtime.engines.compiled.byte_tables import PERMUTES, look_up
from paddlevideo.runtime.engines.compiled.integer_finish import finish
from paddlevideo.runtime.engines.compiled.integer_simd import FORM
from paddlevideo.runtime.engines.compiled.integer_tiles import integer_tile
from paddlevideo.runtime.engines.compiled.processor import Form
from paddlevideo.runtime.engines.compiled.products import ahead_of
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    LINE_BYTES,
    REGISTERS,
    VECTOR_BYTES,
    Kernel,
    keep_apart,
)

INTEGER_ROWS = {1: 14, 2: 12, 3: 8} if REGISTERS == 32 else {1: 8, 2: 4, 3: 3}
INTEGER_ROWS_OF = (1, INTEGER_ROWS[1], INTEGER_ROWS[2], INTEGER_ROWS[3])
"""Rows of a whole tile, by the vectors of its panel."""
SUMS_BYTES = max(rows * vectors * VECTOR_BYTES for vectors, rows in INTEGER_ROWS.items())
"""Memory for the sums of one tile."""


def rows_of(vectors: int, form: Form, gather: bool = False) -> Kernel:
    """A function of all rows of one panel; where there are few, one by one.

    The last tile begins earlier and computes some rows twice.

    Its arguments: those of `integer_tile`; then, for what `finish` makes of sums (limits 0), its
    record ``numbers``, activation, shortcut with its row's bytes and whether it is bytes, and the
    result as floats and as bytes with the bytes of a row; memory for the sums of a tile; and what
    to prefetch. With limits the result is ``y8`` alone, and ``numbers`` the address of a table of
    what becomes of its bytes, see `byte_tables`; 0: they stay as they are.
    """
    big_rows = INTEGER_ROWS[vectors]
    big = integer_tile(big_rows, vectors, form, gather)
    one = integer_tile(1, vectors, form, gather)
    # As `access.NONE`.
    sums_row, steps_row = np.int64(vectors * VECTOR_BYTES), np.int64(vectors * LANES)
    wide = np.int64(vectors)

    @njit(nogil=True)
    def run(
        a: int, lda: int, rows: int, b: int, steps: int, bias: int, factors: int, limits: int,
        input_offsets: int, numbers: int, activation: int, shortcut: int, ldshortcut: int,
        shortcut_is_bytes: int, y: int, ldy: int, y8: int, ldy8: int, sums: int, ahead: Array,
        regions: Array,
    ) -> None:  # fmt: skip
        """Multiply rows; see above."""
        keep_apart()
        through_memory = limits != 0 and numbers != 0 and not PERMUTES
        row = 0
        while row < rows:
            many = rows >= big_rows
            at = min(row, rows - big_rows) if many else row
            x = a + at * lda
            to, ldto = sums, sums_row
            if through_memory:
                ldto = steps_row
            elif limits:
                to, ldto = y8 + at * ldy8, ldy8
            if many:
                later = ahead_of(ahead, regions, steps * LINE_BYTES, b)
                big(
                    x, lda, b, steps, to, ldto, bias, factors, limits, numbers, input_offsets, later
                )  # fmt: skip
                done = big_rows
            else:
                one(x, lda, b, steps, to, ldto, bias, factors, limits, numbers, input_offsets, b)
                done = 1
            if through_memory:
                look_up(sums, steps_row, done, wide, numbers, y8 + at * ldy8, ldy8)
            elif not limits:
                finish(
                    sums, sums_row, done, wide, factors, numbers, activation,
                    shortcut + at * ldshortcut if shortcut else 0, ldshortcut, shortcut_is_bytes,
                    y + at * ldy if y else 0, ldy, y8 + at * ldy8 if y8 else 0, ldy8,
                )  # fmt: skip
            row = at + done

    return run


def dense_of(form: Form) -> Kernel:
    """A function of a dense layer on 8 bits, in one form of products.

    Its arguments are those of `rows_of` but for ``b`` and the panels: ``panels`` [n, 3] says which
    channels lie together in b, as for `products.dense`.
    """
    panel_1, panel_2, panel_3 = (rows_of(vectors, form) for vectors in (1, 2, 3))

    @compiled
    def dense(
        a: int,
        lda: int,
        rows: int,
        panels: Array,
        b: int,
        steps: int,
        bias: int,
        factors: int,
        limits: int,
        numbers: int,
        activation: int,
        shortcut: int,
        ldshortcut: int,
        shortcut_is_bytes: int,
        y: int,
        ldy: int,
        y8: int,
        ldy8: int,
        sums: int,
        ahead: Array,
        regions: Array,
    ) -> None:
        """The layer; see above."""
        for index in range(panels.shape[0]):
            first, vectors, at = panels[index, 0], panels[index, 1], b + panels[index, 2]
            wide = first * FLOAT_BYTES
            added = 0
            if shortcut:
                added = shortcut + (first if shortcut_is_bytes else wide)
            to, to8 = y + wide if y else 0, y8 + first if y8 else 0
            offset, factor = bias + wide, factors + wide
            if vectors == 3:
                panel_3(
                    a, lda, rows, at, steps, offset, factor, limits, 0, numbers, activation, added,
                    ldshortcut, shortcut_is_bytes, to, ldy, to8, ldy8, sums, ahead, regions,
                )  # fmt: skip
            elif vectors == 2:
                panel_2(
                    a, lda, rows, at, steps, offset, factor, limits, 0, numbers, activation, added,
                    ldshortcut, shortcut_is_bytes, to, ldy, to8, ldy8, sums, ahead, regions,
                )  # fmt: skip
            else:
                panel_1(
                    a, lda, rows, at, steps, offset, factor, limits, 0, numbers, activation, added,
                    ldshortcut, shortcut_is_bytes, to, ldy, to8, ldy8, sums, ahead, regions,
                )  # fmt: skip

    return dense


integer_dense = dense_of(FORM)
_gather_panel = rows_of(1, FORM, gather=True)


@compiled
def integer_convolve(
    x: int,
    row_bytes: int,
    step: int,
    b: int,
    steps: int,
    input_offsets: int,
    panels: Array,
    out_rows: int,
    out_columns: int,
    stride: int,
    bias: int,
    factors: int,
    limits: int,
    numbers: int,
    activation: int,
    y: int,
    ldy: int,
    y8: int,
    ldy8: int,
    sums: int,
    ahead: Array,
    regions: Array,
) -> None:
    """A full convolution of padded planes of bytes; see `products.convolve`."""
    for row in range(out_rows):
        source, place = x + row * stride * row_bytes, row * out_columns
        for panel in range(panels.shape[0]):
            first, at = panels[panel, 0], b + panels[panel, 2]
            wide = first * FLOAT_BYTES
            _gather_panel(
                source, step, out_columns, at, steps, bias + wide, factors + wide, limits,
                input_offsets, numbers, activation, NONE, NONE, NONE,
                y + place * ldy + wide if y else 0, ldy,
                y8 + place * ldy8 + first if y8 else 0, ldy8, sums, ahead, regions,
            )  # fmt: skip


@compiled
def pad_bytes(
    x: int,
    planes: int,
    rows: int,
    columns: int,
    top: int,
    left: int,
    bottom: int,
    right: int,
    zero: int,
    y: int,
    first: int,
    last: int,
) -> None:
    """Copy a frame of bytes into padded planes; the padding is ``zero``.

    Of each padded plane the rows ``first`` to ``last`` are written.
    """
    wide, high = left + columns + right, top + rows + bottom
    for plane in range(planes):
        fill_bytes(y + (plane * high + first) * wide, (last - first) * wide, zero)
        for row in range(max(first - top, 0), min(last - top, rows)):
            at = (plane * high + top + row) * wide + left
            copy_bytes(y + at, x + (plane * rows + row) * columns, columns)
