"""Products of maps and matrices: dense layers of pixels, and the convolution of a frame."""

import numpy as np
from numba import njit

from paddlevideo.runtime.engines.compiled.access import (
    Array,
    bytes_at,
    clear_floats,
    compiled,
    floats_at,
)
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    LINE_BYTES,
    REGISTERS,
    VECTOR_BYTES,
    Kernel,
    keep_apart,
    multiply_add,
    vload,
    vmul,
    vsplat,
    vstore,
)
from paddlevideo.runtime.engines.compiled.tiles import Multiply, tile

ROWS = {1: 14, 2: 12, 3: 8} if REGISTERS == 32 else {1: 10, 2: 6, 3: 4}
_FEW = 4
_DISTANCE = 4096  # bytes by which weights are prefetched
ROWS_OF = (1, ROWS[1], ROWS[2], ROWS[3])
"""Rows of a whole tile, by the vectors of its panel."""
_gather_1, _gather_few_1, _gather_one_1 = (
    tile(rows, 1, gather=True) for rows in (ROWS[1], _FEW, 1)
)


def panels_of(channels: int, widest: int = 3) -> list[tuple[int, int]]:
    """First channel and number of vectors of the panels that cover ``channels``.

    They are up to ``widest`` vectors wide, as even as can be; the last begins earlier where it
    would not fit.
    """
    vectors = -(-channels // LANES)
    count = -(-vectors // min(widest, max(channels // LANES, 1)))
    sizes = [vectors // count + (index < vectors % count) for index in range(count)]
    starts = [sum(sizes[:index]) * LANES for index in range(count)]
    return [
        (max(min(start, channels - size * LANES), 0), size)
        for start, size in zip(starts, sizes, strict=True)
    ]


@compiled
def ahead_of(ahead: Array, regions: Array, size: int, otherwise: int) -> int:
    """Where the next ``size`` bytes lie that a later operation needs; see `Ahead` in `table`."""
    if ahead[0] >= ahead[1]:
        if ahead[2] >= ahead[3]:
            return otherwise
        ahead[0], ahead[1] = regions[ahead[2], 0], regions[ahead[2], 1]
        ahead[2] += 1
    now = ahead[0]
    ahead[0] = now + size
    return now


def _rows_of(vectors: int, big: Kernel, few: Kernel, one: Kernel) -> Kernel:
    """A function of all rows of one panel: tiles of many rows, and of fewer at the end.

    Where there are enough rows the last tile begins earlier and computes some of them twice. With
    few rows the weights are what takes time: then they themselves are prefetched.
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
        input_offsets: int,
        activation: int,
        ahead: Array,
        regions: Array,
    ) -> None:
        """Multiply rows; see above."""
        keep_apart()
        row, later = 0, b + _DISTANCE
        while row < rows:
            left = rows - row
            if left >= big_rows or (left > 2 * _FEW and rows >= big_rows):
                at = min(row, rows - big_rows)
                added = shortcut + at * ldc if shortcut else 0
                next_bytes = ahead_of(ahead, regions, depth * line, b)
                x, y = a + at * lda, c + at * ldc
                big(x, lda, b, depth, y, ldc, bias, added, input_offsets, activation, next_bytes)
                row = at + big_rows
            elif left >= _FEW or rows >= _FEW:
                at = min(row, rows - _FEW)
                added = shortcut + at * ldc if shortcut else 0
                if rows >= big_rows:
                    later = ahead_of(ahead, regions, depth * lines, b)
                x, y = a + at * lda, c + at * ldc
                few(x, lda, b, depth, y, ldc, bias, added, input_offsets, activation, later)
                row = at + _FEW
            else:
                added = shortcut + row * ldc if shortcut else 0
                x, y = a + row * lda, c + row * ldc
                one(x, lda, b, depth, y, ldc, bias, added, input_offsets, activation, later)
                row += 1

    return run


_gather_panel_1 = _rows_of(1, _gather_1, _gather_few_1, _gather_one_1)


def _panel_of(vectors: int, multiply: Multiply) -> Kernel:
    few, one = (tile(rows, vectors, lines=vectors, multiply=multiply) for rows in (_FEW, 1))
    return _rows_of(vectors, tile(ROWS[vectors], vectors, multiply=multiply), few, one)


def dense_of(multiply: Multiply = multiply_add) -> Kernel:
    """The function of a matrix product, see `dense`; ``multiply`` as `tiles.tile` has it."""
    panel_1, panel_2, panel_3 = (_panel_of(vectors, multiply) for vectors in (1, 2, 3))

    @njit(nogil=True)
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
        """Multiply all panels."""
        for index in range(panels.shape[0]):
            first, vectors = panels[index, 0] * FLOAT_BYTES, panels[index, 1]
            at, to, offsets = b + panels[index, 2], c + first, bias + first
            added = shortcut + first if shortcut else 0
            if vectors == 3:
                panel_3(
                    a, lda, rows, at, depth, to, ldc, offsets, added, 0, activation, ahead, regions
                )
            elif vectors == 2:
                panel_2(
                    a, lda, rows, at, depth, to, ldc, offsets, added, 0, activation, ahead, regions
                )
            else:
                panel_1(
                    a, lda, rows, at, depth, to, ldc, offsets, added, 0, activation, ahead, regions
                )

    return dense


dense = dense_of()
"""``activation(a @ b + bias + shortcut)`` for ``rows`` pixels.

``panels`` [n, 3] says which columns lie together in b: the first one, how many vectors, and where
in b, in bytes.
"""


@compiled
def gated_weights(weights: int, panels: Array, depth: int, gate: int, y: int) -> None:
    """Packed weights with one factor for each step of the depth."""
    factors = floats_at(gate, depth)
    for index in range(panels.shape[0]):
        size = panels[index, 1] * VECTOR_BYTES
        at = panels[index, 2]
        for step in range(depth):
            factor = vsplat(factors[step])
            for part in range(0, size, VECTOR_BYTES):
                vstore(y + at + part, vmul(vload(weights + at + part), factor))
            at += size


@compiled
def convolve(
    x: int,
    row_bytes: int,
    step: int,
    b: int,
    depth: int,
    input_offsets: int,
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
    """A full convolution of a padded map.

    ``input_offsets`` are the bytes from an output's first input to each of its inputs, ``step``
    is the bytes between the first inputs of two outputs of a row, ``row_bytes`` those between two
    rows of the input.
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
                input_offsets,
                activation,
                ahead,
                regions,
            )


@compiled
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
    first: int,
    last: int,
) -> None:
    """Copy a frame [planes, rows, columns] of bytes or floats into padded planes of floats.

    ``offsets``, one for each plane, are added to the frame, not to the padding. Of each padded
    plane the rows ``first`` to ``last`` are written.
    """
    wide, high = left + columns + right, top + rows + bottom
    size = planes * rows * columns
    pixels = bytes_at(x, size)
    values = floats_at(x, size)
    offset = floats_at(offsets, planes)
    target = floats_at(y, planes * high * wide)
    for plane in range(planes):
        clear_floats(y + (plane * high + first) * wide * FLOAT_BYTES, (last - first) * wide)
        for row in range(max(first - top, 0), min(last - top, rows)):
            at, start = (plane * high + top + row) * wide + left, (plane * rows + row) * columns
            line, more = target[at : at + columns], offset[plane]
            if is_bytes:
                from_bytes = pixels[start : start + columns]
                for column in range(columns):
                    line[column] = np.float32(from_bytes[column]) + more
            else:
                from_floats = values[start : start + columns]
                for column in range(columns):
                    line[column] = from_floats[column] + more
