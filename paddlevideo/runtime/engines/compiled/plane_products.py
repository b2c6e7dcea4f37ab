"""Products of a row of floats and int8 weights, in integers that say as much as the floats do.

A number of a row is 24 bits of the row's largest, which is what a float32 holds of it: three bytes
that lie in planes of their own. Each plane is multiplied with the weights in integers, four at a
time, and the three sums are added up as floats. It takes a third of the instructions that turning
each weight into a float does, and several rows read the weights once. A row's result does not
depend on the others.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.access import (
    NONE,
    Array,
    activation_at,
    clear_floats,
    compiled,
    first_channel_of,
    floats_at,
    vectors_of,
)
from paddlevideo.runtime.engines.compiled.integer_simd import (
    FORM,
    INTEGERS,
    as_floats,
    integers,
    load_integers,
    moved_by,
    store_bytes,
    vbound,
    vsub,
)
from paddlevideo.runtime.engines.compiled.integer_tiles import integer_tile
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    REGISTERS,
    VECTOR,
    VECTOR_BYTES,
    Typed,
    keep_apart,
    operation,
    vactivate,
    vector_type,
    vfma,
    vload,
    vmul,
    vsplat,
    vstore,
)

HAS_PLANES = FORM in ("dot", "signed dot")
"""Whether four products of bytes are one instruction; with more of them floats are as fast."""
WIDEST = 2  # vectors of a panel
PLANES = 3
_TOGETHER = 4 if REGISTERS == 32 else 2
"""Rows whose sums stay in registers together."""
_SUMS_BYTES = _TOGETHER * PLANES * WIDEST * VECTOR_BYTES
_ROW_BYTES = 3 * VECTOR_BYTES  # of what a row is measured with
_MIDDLE = 1 << 23  # added, so that all are unsigned
_LARGEST = np.float32(_MIDDLE - 16)  # less than the middle by what rounding its product may add
_LEAST = np.float32(1e-30)  # a row of smaller numbers is zeros
_NONE, _ALL = np.float32(0), np.float32(np.inf)

_one_wide, _one_narrow = (integer_tile(PLANES, n, FORM) for n in (WIDEST, 1))
_all_wide, _all_narrow = (integer_tile(PLANES * _TOGETHER, n, FORM) for n in (WIDEST, 1))


@compiled
def plane_bytes(depth: int) -> int:
    """Of one plane of a row."""
    return max((depth + 3) // 4 * 4, LANES)


def scratch_floats(depth: int) -> int:
    """Memory for the sums and the planes of the rows that are multiplied together."""
    planes = _TOGETHER * PLANES * plane_bytes.py_func(depth) // FLOAT_BYTES
    return (_SUMS_BYTES + _ROW_BYTES) // FLOAT_BYTES + planes


def moved_sums(numbers: np.ndarray) -> np.ndarray:
    """What the sums of a plane have too much, int32 [2, channels]: the highest one, the others.

    Args:
        numbers: int8 weights [depth, channels].
    """
    total_C = numbers.astype(np.int64).sum(axis=0)
    moved = moved_by(FORM)
    return np.stack([(128 - moved) * total_C, -moved * total_C]).astype(np.int32)


@operation
def _store_planes(
    typing_context: object, address: object, plane: object, x: object, inverse: object
) -> Typed:
    """Write the nearest integers of ``x * inverse``, moved to be unsigned, byte by byte.

    Args:
        plane: bytes from a plane to the next, higher one.
    """

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        address, plane, x, inverse = values
        kind, name = ir.FunctionType(VECTOR, [VECTOR]), f"llvm.rint.v{LANES}f32"
        rint = cgutils.get_or_insert_function(builder.module, kind, name)
        whole = builder.fptosi(builder.call(rint, [builder.fmul(x, inverse)]), INTEGERS)
        whole = builder.add(whole, integers(_MIDDLE))
        for index in range(PLANES):
            store_bytes(builder, builder.lshr(whole, integers(8 * index)), address)
            address = builder.add(address, plane)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, vector_type, vector_type), generate


@operation
def _load_less(typing_context: object, address: object, other: object) -> Typed:
    """The 32-bit integers at an address less those at another, as floats."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        first, second = (load_integers(builder, address) for address in values)
        return as_floats(builder, builder.sub(first, second))

    return vector_type(types.intp, types.intp), generate


@compiled
def _planes_of(x: int, depth: int, y: int, plane: int, work: int) -> float:
    """Write the planes of a row; give the value of one step, NaN where a number is not finite.

    Args:
        work: memory of three vectors.
    """
    source = x
    if depth < LANES:
        source = work + 2 * VECTOR_BYTES
        clear_floats(source, LANES)
        given, kept = floats_at(x, depth), floats_at(source, depth)
        for index in range(depth):
            kept[index] = given[index]
    zero, most = vsplat(_NONE), vsplat(_NONE)
    wrong, end = zero, vsplat(_ALL)
    for vector in range(vectors_of(depth)):
        value = vload(source + first_channel_of(vector, depth) * FLOAT_BYTES)
        most = vbound(vsub(zero, value), vbound(value, most, end), end)
        wrong = vfma(value, zero, wrong)
    vstore(work, most)
    vstore(work + VECTOR_BYTES, wrong)
    found: Array = floats_at(work, 2 * LANES)
    largest, bad = _NONE, _NONE
    for lane in range(LANES):
        largest = max(largest, found[lane])
        bad += found[LANES + lane]
    if largest < _LEAST:
        largest = _NONE
    inverse = vsplat(_LARGEST / largest if largest > _NONE else _NONE)
    for vector in range(vectors_of(depth)):
        at = first_channel_of(vector, depth)
        _store_planes(y + at, plane, vload(source + at * FLOAT_BYTES), inverse)
    return largest / _LARGEST + bad


@compiled
def plane_dense(
    a: int,
    rows: int,
    panels: Array,
    b: int,
    depth: int,
    scales: int,
    moved: int,
    bias: int,
    activation: int,
    c: int,
    channels: int,
    zeros: int,
    scratch: int,
) -> None:
    """``activation(a @ b * scales + bias)`` for rows of ``depth`` floats each.

    Args:
        panels: of b, see `integer_layout.packed_fours`.
        moved: address of `moved_sums`.
        zeros: address of `WIDEST` vectors of zeros.
        scratch: memory of `scratch_floats`.
    """
    keep_apart()
    plane, steps = plane_bytes(depth), (depth + 3) // 4
    units: Array = np.empty(_TOGETHER, np.float32)
    at, work = scratch, scratch + _SUMS_BYTES
    planes = work + _ROW_BYTES
    row = 0
    while row < rows:
        count = _TOGETHER if rows - row >= _TOGETHER else 1
        for index in range(count):
            x = a + (row + index) * depth * FLOAT_BYTES
            units[index] = _planes_of(x, depth, planes + index * PLANES * plane, plane, work)
        for panel in range(panels.shape[0]):
            first, vectors, start = panels[panel, 0], panels[panel, 1], b + panels[panel, 2]
            ld = vectors * VECTOR_BYTES
            if count == 1 and vectors == WIDEST:
                _one_wide(planes, plane, start, steps, at, ld, zeros, NONE, NONE, NONE, NONE, start)
            elif count == 1:
                _one_narrow(
                    planes, plane, start, steps, at, ld, zeros, NONE, NONE, NONE, NONE, start
                )
            elif vectors == WIDEST:
                _all_wide(planes, plane, start, steps, at, ld, zeros, NONE, NONE, NONE, NONE, start)
            else:
                _all_narrow(
                    planes, plane, start, steps, at, ld, zeros, NONE, NONE, NONE, NONE, start
                )
            for index in range(count):
                _add_planes(
                    at + index * PLANES * ld, ld, vectors, units[index],
                    scales + first * FLOAT_BYTES, moved + first * FLOAT_BYTES, channels,
                    bias + first * FLOAT_BYTES, activation,
                    c + ((row + index) * channels + first) * FLOAT_BYTES,
                )  # fmt: skip
        row += count


@compiled
def _add_planes(
    sums: int, ld: int, vectors: int, unit: float, scales: int, moved: int, channels: int,
    bias: int, activation: int, c: int,
) -> None:  # fmt: skip
    """The results of one row of a panel from the sums of its planes."""
    alpha, beta, low, high, multiply = activation_at(activation)
    step, byte = vsplat(unit), vsplat(np.float32(256))
    others = moved + channels * FLOAT_BYTES
    for vector in range(vectors):
        place = vector * VECTOR_BYTES
        total = _load_less(sums + 2 * ld + place, moved + place)
        total = vfma(total, byte, _load_less(sums + ld + place, others + place))
        total = vfma(total, byte, _load_less(sums + place, others + place))
        total = vfma(vmul(total, step), vload(scales + place), vload(bias + place))
        vstore(c + place, vactivate(total, alpha, beta, low, high, multiply))
