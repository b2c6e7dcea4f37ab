"""Products of one pixel whose weights stay in memory as the file stores them: int8 or float16.

No weight of such a product is used twice, so it is bound by reading them. They become floats in
registers; the scale of an output channel is multiplied into its sum.
"""

import numpy as np

from paddlevideo.runtime.engines.compiled.access import (
    Array,
    activation_at,
    compiled,
    floats_at,
)
from paddlevideo.runtime.engines.compiled.host import host
from paddlevideo.runtime.engines.compiled.integer_simd import vload_halves, vload_signed_bytes
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    VECTOR_BYTES,
    keep_apart,
    vactivate,
    vadd,
    vfma,
    vload,
    vsplat,
    vstore,
)

WIDE = 4  # vectors of a wide panel
CAN_LOAD_HALVES = host().converts_halves
"""Whether float16 becomes float32 in one instruction."""


def stored_panels(numbers: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """A matrix [depth, channels] in panels, each [depth, vectors * LANES].

    Returns:
        Its numbers; and for each panel the first channel, the number of vectors, and where it
        begins, in numbers.
    """
    depth, channels = numbers.shape
    wide = np.zeros((depth, channels + LANES), numbers.dtype)
    wide[:, :channels] = numbers
    starts = [(n, WIDE) for n in range(0, channels - WIDE * LANES + 1, WIDE * LANES)]
    rest = len(starts) * WIDE * LANES
    starts += [(max(min(n, channels - LANES), 0), 1) for n in range(rest, channels, LANES)]
    parts: list[np.ndarray] = []
    panels: list[int] = []
    at = 0
    for first, vectors in starts:
        parts.append(wide[:, first : first + vectors * LANES].reshape(-1))
        panels += [first, vectors, at]
        at += parts[-1].size
    return np.concatenate(parts), panels


@compiled
def _load(address: int, is_half: int) -> Array:
    return vload_halves(address) if is_half else vload_signed_bytes(address)


@compiled
def _wide_sums(x: Array, depth: int, b: int, is_half: int, y: int) -> None:
    keep_apart()
    one = two = three = four = vsplat(np.float32(0))
    part = LANES * (2 if is_half else 1)
    if is_half:
        for step in range(depth):
            number = vsplat(x[step])
            one = vfma(vload_halves(b), number, one)
            two = vfma(vload_halves(b + part), number, two)
            three = vfma(vload_halves(b + 2 * part), number, three)
            four = vfma(vload_halves(b + 3 * part), number, four)
            b += 4 * part
    else:
        for step in range(depth):
            number = vsplat(x[step])
            one = vfma(vload_signed_bytes(b), number, one)
            two = vfma(vload_signed_bytes(b + part), number, two)
            three = vfma(vload_signed_bytes(b + 2 * part), number, three)
            four = vfma(vload_signed_bytes(b + 3 * part), number, four)
            b += 4 * part
    vstore(y, one)
    vstore(y + VECTOR_BYTES, two)
    vstore(y + 2 * VECTOR_BYTES, three)
    vstore(y + 3 * VECTOR_BYTES, four)


@compiled
def _narrow_sums(x: Array, depth: int, b: int, is_half: int, y: int) -> None:
    """One vector; four sums of it, which do not wait for each other."""
    keep_apart()
    one = two = three = four = vsplat(np.float32(0))
    part = LANES * (2 if is_half else 1)
    whole = depth - depth % 4
    for step in range(0, whole, 4):
        one = vfma(_load(b, is_half), vsplat(x[step]), one)
        two = vfma(_load(b + part, is_half), vsplat(x[step + 1]), two)
        three = vfma(_load(b + 2 * part, is_half), vsplat(x[step + 2]), three)
        four = vfma(_load(b + 3 * part, is_half), vsplat(x[step + 3]), four)
        b += 4 * part
    for step in range(whole, depth):
        one = vfma(_load(b, is_half), vsplat(x[step]), one)
        b += part
    vstore(y, vadd(vadd(one, two), vadd(three, four)))


@compiled
def stored_dense(
    a: int,
    rows: int,
    panels: Array,
    b: int,
    is_half: int,
    depth: int,
    scales: int,
    bias: int,
    activation: int,
    c: int,
    channels: int,
) -> None:
    """``activation(a @ b * scales + bias)`` for few rows of ``depth`` floats each."""
    sums: Array = np.empty(WIDE * LANES, np.float32)
    alpha, beta, low, high, multiply = activation_at(activation)
    size = 2 if is_half else 1
    for index in range(panels.shape[0]):
        at = sums.ctypes.data  # here: numba frees an array behind the last line that names it
        first, vectors, start = panels[index, 0], panels[index, 1], b + panels[index, 2] * size
        for row in range(rows):
            x = floats_at(a + row * depth * FLOAT_BYTES, depth)
            if vectors == WIDE:
                _wide_sums(x, depth, start, is_half, at)
            else:
                _narrow_sums(x, depth, start, is_half, at)
            for vector in range(vectors):
                place = first * FLOAT_BYTES + vector * VECTOR_BYTES
                total = vload(at + vector * VECTOR_BYTES)
                total = vfma(total, vload(scales + place), vload(bias + place))
                total = vactivate(total, alpha, beta, low, high, multiply)
                vstore(c + row * channels * FLOAT_BYTES + place, total)
