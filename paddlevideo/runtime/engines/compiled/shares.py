"""Which part of an operation is a share: pixels, rows, or channels of its result.

Shares of one operation write different numbers. Where the last vector or panel of a row begins
earlier, so that some channels are computed twice, both belong to the last share.
"""

from paddlevideo.runtime.engines.compiled.access import Array, Row, compiled, vectors_of
from paddlevideo.runtime.engines.compiled.simd import LANES
from paddlevideo.runtime.engines.compiled.table import Split

NUMBERS = 1024
"""Operations on each number are shared out in so many: loops over them are vectorised the same."""


@compiled
def share_of(count: int, unit: int, part: int, parts: int) -> tuple[int, int]:
    """First and end of a share of ``count`` things, whole units but for the last."""
    units = (count + unit - 1) // unit
    first, last = units * part // parts * unit, units * (part + 1) // parts * unit
    return min(first, count), min(last, count)


@compiled
def vectors_share(channels: int, part: int, parts: int) -> tuple[int, int]:
    """First and end of a share of the vectors of a pixel."""
    first, last = share_of(channels // LANES, 1, part, parts)
    return first, vectors_of(channels) if part == parts - 1 else last


@compiled
def window_share(row: Row, part: int, parts: int) -> tuple[int, int, int, int]:
    """Of a depthwise convolution: first and end of the rows, and of the vectors of a pixel."""
    first_row, last_row = 0, row.out_rows
    first_vector, last_vector = vectors_share(row.channels, 0, 1)
    if row.split == Split.PIXELS:
        first_row, last_row = share_of(row.out_rows, 1, part, parts)
    elif row.split == Split.CHANNELS:
        first_vector, last_vector = vectors_share(row.channels, part, parts)
    return first_row, last_row, first_vector, last_vector


@compiled
def panels_share(panels: Array, part: int, parts: int) -> Array:
    """The panels [n, 3] of a share; see `products.dense`."""
    count = panels.shape[0]
    units = count
    if count > 1 and panels[count - 1, 0] < panels[count - 2, 0] + panels[count - 2, 1] * LANES:
        units -= 1  # the last one overlaps the one before it
    first, last = share_of(units, 1, part, parts)
    return panels[first : count if part == parts - 1 else last]
