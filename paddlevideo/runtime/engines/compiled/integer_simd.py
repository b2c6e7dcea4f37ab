"""Vectors of 8-bit numbers in numba code: loads, products of four neighbours, roundings.

A map on 8 bits holds unsigned numbers; its value is ``scale * (number - zero)``. `simd` has the
vectors of floats that these become.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.host import host
from paddlevideo.runtime.engines.compiled.processor import Family, Form
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT,
    FLOAT_BYTES,
    INT64,
    LANES,
    VECTOR,
    Typed,
    maximum,
    minimum,
    operation,
    prefetch,
    splat,
    vector_type,
)

INT32 = ir.IntType(32)
INTEGERS = ir.VectorType(INT32, LANES)
_SHORTS = ir.VectorType(ir.IntType(16), 2 * LANES)
_HALVES = ir.VectorType(ir.HalfType(), LANES)
_BYTES = ir.VectorType(ir.IntType(8), LANES)
_ALL_BYTES = ir.VectorType(ir.IntType(8), 4 * LANES)
# Added to a number below 2 ** 22, it leaves the nearest integer in the lowest bits, halves to even.
_ROUNDER = float(3 << 22)


FORM: Form = host().form
_FAMILY: Family = host().family


def integers(number: int) -> ir.Constant:
    """IR: a vector of equal 32-bit integers."""
    return ir.Constant(INTEGERS, [number] * LANES)


def load_integers(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """IR: the vector of 32-bit integers at an address that need not be aligned."""
    return builder.load(builder.inttoptr(address, INTEGERS.as_pointer()), align=FLOAT_BYTES)


def store_integers(builder: ir.IRBuilder, value: ir.Value, address: ir.Value) -> None:
    """IR: write the vector to an address that need not be aligned."""
    builder.store(value, builder.inttoptr(address, INTEGERS.as_pointer()), align=FLOAT_BYTES)


def load_bytes(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """IR: as many bytes as a vector has lanes, each as an unsigned 32-bit integer."""
    loaded = builder.load(builder.inttoptr(address, _BYTES.as_pointer()), align=1)
    return builder.zext(loaded, INTEGERS)


def load_signed_bytes(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """IR: the same of signed bytes."""
    loaded = builder.load(builder.inttoptr(address, _BYTES.as_pointer()), align=1)
    return builder.sext(loaded, INTEGERS)


def store_bytes(builder: ir.IRBuilder, value: ir.Value, address: ir.Value) -> None:
    """IR: write the lowest byte of each integer."""
    narrow = builder.trunc(value, _BYTES)
    builder.store(narrow, builder.inttoptr(address, _BYTES.as_pointer()), align=1)


def splat_four(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """IR: a vector of the same four bytes, those at an address."""
    number = builder.load(builder.inttoptr(address, INT32.as_pointer()), align=1)
    return splat_integer(builder, number)


def splat_integer(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """IR: a vector of equal 32-bit integers."""
    undefined = ir.Constant(INTEGERS, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first, undefined, integers(0))


def moved_by(form: Form, family: Family = _FAMILY) -> int:
    """What a form subtracts from each byte of x: what its instructions take is signed.

    `multiply_four` then lacks this many times the sum of the weights, which a bias makes up for.
    """
    return 128 if family == "arm" and form in ("signed dot", "pairs") else 0


def multiply_four(
    builder: ir.IRBuilder,
    form: Form,
    total: ir.Value,
    x: ir.Value,
    w: ir.Value,
    family: Family = _FAMILY,
) -> ir.Value:
    """IR: to each integer of ``total`` the four products of bytes x and signed bytes w.

    x are unsigned; of each `moved_by` is subtracted. The sum is exact in each form; the
    instruction of x86 that adds products in 16 bits, which would saturate, is not used.
    """
    if form == "plain":
        return _one_by_one(builder, total, x, w)
    if moved_by(form, family):
        x = builder.xor(x, integers(-0x7F7F7F80))  # 0x80 in each byte
    if family == "arm":
        pairs = _arm_pairs if form == "pairs" else _arm_dot
        return pairs(builder, form, total, x, w)
    if form == "dot":
        return _call(builder, f"llvm.x86.avx512.vpdpbusd.{32 * LANES}", total, x, w)
    for half in _pairs(builder, x, w):
        total = builder.add(total, half)
    return total


def _call(builder: ir.IRBuilder, name: str, total: ir.Value, *values: ir.Value) -> ir.Value:
    """IR: an instruction of the processor that gives integers."""
    kind = ir.FunctionType(INTEGERS, [value.type for value in (total, *values)])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [total, *values])


def _one_by_one(builder: ir.IRBuilder, total: ir.Value, x: ir.Value, w: ir.Value) -> ir.Value:
    for position in range(4):
        one = builder.and_(builder.lshr(x, integers(8 * position)), integers(255))
        other = builder.ashr(builder.shl(w, integers(24 - 8 * position)), integers(24))
        total = builder.add(total, builder.mul(one, other))
    return total


def _pairs(builder: ir.IRBuilder, x: ir.Value, w: ir.Value) -> list[ir.Value]:
    """IR: the products of the bytes 0 and 2 of each integer added up, and those of 1 and 3."""
    name = {16: "avx512.pmaddw.d.512", 8: "avx2.pmadd.wd", 4: "sse2.pmadd.wd"}[LANES]
    eight = ir.Constant(_SHORTS, [8] * 2 * LANES)
    low = ir.Constant(_SHORTS, [255] * 2 * LANES)
    x, w = builder.bitcast(x, _SHORTS), builder.bitcast(w, _SHORTS)
    even = [builder.and_(x, low), builder.ashr(builder.shl(w, eight), eight)]
    odd = [builder.lshr(x, eight), builder.ashr(w, eight)]
    return [_call(builder, f"llvm.x86.{name}", *even), _call(builder, f"llvm.x86.{name}", *odd)]


def _arm_dot(
    builder: ir.IRBuilder, form: Form, total: ir.Value, x: ir.Value, w: ir.Value
) -> ir.Value:
    """IR: ``usdot`` of unsigned bytes x, or ``sdot`` of signed ones."""
    name = "usdot" if form == "dot" else "sdot"
    x, w = (builder.bitcast(value, _ALL_BYTES) for value in (x, w))
    return _call(builder, f"llvm.aarch64.neon.{name}.v4i32.v16i8", total, x, w)


def _arm_pairs(
    builder: ir.IRBuilder, form: Form, total: ir.Value, x: ir.Value, w: ir.Value
) -> ir.Value:
    """IR: products in 16 bits, which hold each of them; their sums in 32 bits."""
    x, w = (builder.bitcast(value, _ALL_BYTES) for value in (x, w))
    eight_shorts = ir.VectorType(ir.IntType(16), 8)
    pairs = []
    for half in (0, 8):
        places = ir.Constant(ir.VectorType(INT32, 8), list(range(half, half + 8)))
        wide = [
            builder.sext(builder.shuffle_vector(value, value, places), eight_shorts)
            for value in (x, w)
        ]
        pairs.append(_call(builder, "llvm.aarch64.neon.saddlp.v4i32.v8i16", builder.mul(*wide)))
    return builder.add(total, _call(builder, "llvm.aarch64.neon.addp.v4i32", *pairs))


def as_floats(builder: ir.IRBuilder, whole: ir.Value) -> ir.Value:
    """IR: the integers as floats."""
    return builder.sitofp(whole, VECTOR)


def nearest(builder: ir.IRBuilder, value: ir.Value, zero: ir.Value | None = None) -> ir.Value:
    """IR: the nearest integers of floats below 2 ** 22, halves to even, plus ``zero``.

    Right in their lowest 22 bits, of which a byte is stored.
    """
    moved = builder.fadd(value, ir.Constant(VECTOR, [_ROUNDER] * LANES))
    whole = builder.bitcast(moved, INTEGERS)
    return whole if zero is None else builder.add(whole, zero)


def rounded(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """IR: the nearest integers of floats below 2 ** 22, as floats."""
    rounder = ir.Constant(VECTOR, [_ROUNDER] * LANES)
    return builder.fsub(builder.fadd(value, rounder), rounder)


_ADDRESS = types.intp


@operation
def vactivate_apart(
    typing_context: object, x: object, alpha: object, beta: object, low: object, high: object,
    multiply: object,
) -> Typed:  # fmt: skip
    """`simd.vactivate` with ``alpha x`` rounded before ``beta`` is added.

    So does the file's operation. What is rounded to 8 bits after it is then the same byte whether
    a processor multiplies and adds in one instruction or not.
    """

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        x, alpha, beta, low, high, multiply = values
        bounded = builder.fadd(builder.fmul(x, alpha), beta)
        bounded = minimum(builder, maximum(builder, bounded, low), high)
        gated = builder.icmp_signed("!=", multiply, INT64(0))
        return builder.select(gated, builder.fmul(bounded, x), bounded)

    return vector_type(*[vector_type] * 5, types.intp), generate


@operation
def vbound(typing_context: object, x: object, low: object, high: object) -> Typed:
    """x within bounds."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        x, low, high = values
        return minimum(builder, maximum(builder, x, low), high)

    return vector_type(*[vector_type] * 3), generate


@operation
def vprefetch(typing_context: object, address: object) -> Typed:
    """Ask for the cache line at an address, which need not exist."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        prefetch(builder, values[0])
        return context.get_dummy_value()

    return types.void(_ADDRESS), generate


@operation
def vload_bytes(typing_context: object, address: types.Type) -> Typed:
    """The unsigned bytes at an address as floats."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return as_floats(builder, load_bytes(builder, values[0]))

    return vector_type(_ADDRESS), generate


@operation
def vload_signed_bytes(typing_context: object, address: types.Type) -> Typed:
    """The signed bytes at an address as floats."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return as_floats(builder, load_signed_bytes(builder, values[0]))

    return vector_type(_ADDRESS), generate


@operation
def vload_halves(typing_context: object, address: types.Type) -> Typed:
    """The float16 numbers at an address as floats."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        pointer = builder.inttoptr(values[0], _HALVES.as_pointer())
        return builder.fpext(builder.load(pointer, align=2), VECTOR)

    return vector_type(_ADDRESS), generate


@operation
def vload_integers(typing_context: object, address: types.Type) -> Typed:
    """The 32-bit integers at an address as floats."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return as_floats(builder, load_integers(builder, values[0]))

    return vector_type(_ADDRESS), generate


@operation
def vround(typing_context: object, x: types.Type, low: types.Type, high: types.Type) -> Typed:
    """The nearest integers of x within bounds, as floats; halves to even."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        x, low, high = values
        return rounded(builder, minimum(builder, maximum(builder, x, low), high))

    return vector_type(vector_type, vector_type, vector_type), generate


@operation
def vstore_bytes(
    typing_context: object, address: object, x: object, low: object, high: object, zero: object
) -> Typed:
    """Write the nearest integers of x within bounds, plus ``zero``, as bytes.

    The bounds are those of what is stored, less ``zero``.
    """

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        address, x, low, high, zero = values
        moved = splat_integer(builder, builder.trunc(zero, INT32))
        x = minimum(builder, maximum(builder, x, low), high)
        store_bytes(builder, nearest(builder, x, moved), address)
        return context.get_dummy_value()

    return types.void(_ADDRESS, *[vector_type] * 3, types.intp), generate


@operation
def vdivide(typing_context: object, a: types.Type, b: types.Type) -> Typed:
    """a / b."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return builder.fdiv(*values)

    return vector_type(vector_type, vector_type), generate


@operation
def vsub(typing_context: object, a: types.Type, b: types.Type) -> Typed:
    """a - b."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return builder.fsub(*values)

    return vector_type(vector_type, vector_type), generate


def load_limits(builder: ir.IRBuilder, address: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
    """IR: three floats: bounds of a rounding less its zero point, and that, as vectors."""
    low, high, zero = (
        builder.load(
            builder.inttoptr(builder.add(address, INT64(FLOAT_BYTES * n)), FLOAT.as_pointer()),
            align=FLOAT_BYTES,
        )
        for n in range(3)
    )
    whole = splat_integer(builder, builder.fptosi(zero, INT32))
    return splat(builder, low), splat(builder, high), whole
