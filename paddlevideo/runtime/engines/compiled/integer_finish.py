"""What follows the exact sums of a product on 8 bits, where it is more than one rounding."""

from paddlevideo.runtime.engines.compiled.access import (
    Array,
    activation_at,
    compiled,
    floats_at,
)
from paddlevideo.runtime.engines.compiled.integer_simd import (
    vactivate_apart,
    vbound,
    vdivide,
    vload_bytes,
    vload_integers,
    vprefetch,
    vround,
    vstore_bytes,
    vsub,
)
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    VECTOR_BYTES,
    keep_apart,
    vadd,
    vload,
    vmul,
    vsplat,
    vstore,
)

FINISH_FLOATS = 9
"""Numbers that `finish` reads: scale, low and high of a rounding of the sums (scale 0: none), scale
and zero of a shortcut on 8 bits, and scale, low, high and zero of the result on 8 bits."""


@compiled
def finish(
    sums: int, ldsums: int, rows: int, vectors: int, factors: int, numbers: int, activation: int,
    shortcut: int, ldshortcut: int, shortcut_is_bytes: int, y: int, ldy: int, y8: int, ldy8: int,
) -> None:  # fmt: skip
    """``activation(sums * factors + shortcut)`` as floats at ``y`` and as bytes at ``y8``.

    Each operation is rounded as the file's are, and the last one divides: where scales are simple
    fractions of each other many numbers lie half way between two steps, and a product with the
    reciprocal would bring some of them to the other side.

    The floats of the rows that come next are fetched: a store to memory that is not in the cache
    would wait for it.

    Args:
        sums: address of integers, and the bytes between two rows of them.
        factors: of one rounded step where the sums are rounded, else of the value.
        numbers: address of `FINISH_FLOATS` floats.
        shortcut, y, y8: 0 is none. They may be addresses of a part of the channels.
    """
    keep_apart()
    given: Array = floats_at(numbers, FINISH_FLOATS)
    inner = given[0] != 0
    scale, inner_low, inner_high = vsplat(given[0]), vsplat(given[1]), vsplat(given[2])
    added_scale, added_zero = vsplat(given[3]), vsplat(given[4])
    step, low, high, zero = vsplat(given[5]), vsplat(given[6]), vsplat(given[7]), int(given[8])
    bounds = _is_bound(floats_at(activation, 5))
    alpha, beta, least, most, multiply = activation_at(activation)
    for vector in range(vectors):
        factor = vload(factors + vector * VECTOR_BYTES)
        for row in range(rows):
            total = vmul(vload_integers(sums + row * ldsums + vector * VECTOR_BYTES), factor)
            if inner:
                total = vmul(vround(total, inner_low, inner_high), scale)
            if shortcut:
                at = shortcut + row * ldshortcut
                if shortcut_is_bytes:
                    more = vsub(vload_bytes(at + vector * LANES), added_zero)
                    total = vadd(total, vmul(more, added_scale))
                else:
                    total = vadd(total, vload(at + vector * LANES * FLOAT_BYTES))
            if bounds:
                total = vbound(total, least, most)
            else:
                total = vactivate_apart(total, alpha, beta, least, most, multiply)
            if y:
                to = y + row * ldy + vector * VECTOR_BYTES
                vstore(to, total)
                vprefetch(to + rows * ldy)
            if y8:
                to = y8 + row * ldy8 + vector * LANES
                vstore_bytes(to, vdivide(total, step), low, high, zero)


@compiled
def _is_bound(given: Array) -> bool:
    """Whether an activation does nothing but bound."""
    return given[0] == 1 and given[1] == 0 and given[4] == 0
