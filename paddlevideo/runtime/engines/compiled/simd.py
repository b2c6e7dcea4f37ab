"""Vectors of floats in numba code: a type and the operations that become single instructions.

Compilers make vectors of simple loops only. The inner loops of a network want to say themselves
what stays in a register, so numba is taught a type ``Vector`` (``LANES`` floats) here, and loads,
stores and multiply-adds on it. Addresses are integers: bytes, as in `numpy.ndarray.ctypes.data`.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.base import BaseContext as Target
from numba.core.datamodel import DataModelManager, models, register_default
from numba.core.typing import Signature
from numba.extending import intrinsic

from paddlevideo.runtime.engines.compiled.host import host

LANES = host().lanes
REGISTERS = host().registers
FLOAT_BYTES = 4
VECTOR_BYTES = LANES * FLOAT_BYTES
LINE_BYTES = 64

FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
INT64 = ir.IntType(64)


class VectorType(types.Type):
    """``LANES`` floats in a register."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


@register_default(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: DataModelManager, frontend_type: VectorType) -> None:
        super().__init__(manager, frontend_type, VECTOR)


vector_type = VectorType()


def load_vector(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """IR: the vector at an address that need not be aligned."""
    pointer = builder.inttoptr(address, VECTOR.as_pointer())
    return builder.load(pointer, align=FLOAT_BYTES)


def store_vector(builder: ir.IRBuilder, value: ir.Value, address: ir.Value) -> None:
    """IR: write the vector to an address that need not be aligned."""
    pointer = builder.inttoptr(address, VECTOR.as_pointer())
    builder.store(value, pointer, align=FLOAT_BYTES)


def load_scalar(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """IR: the float at an address."""
    return builder.load(builder.inttoptr(address, FLOAT.as_pointer()), align=FLOAT_BYTES)


def prefetch(builder: ir.IRBuilder, address: ir.Value) -> None:
    """IR: ask for the cache line at an address, which need not exist, without waiting for it."""
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, *[ir.IntType(32)] * 3])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    read, second_level, data = (ir.Constant(ir.IntType(32), number) for number in (0, 2, 1))
    builder.call(function, [pointer, read, second_level, data])


def splat(builder: ir.IRBuilder, scalar: ir.Value) -> ir.Value:
    """IR: a vector of equal floats."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    zero = ir.Constant(ir.IntType(32), 0)
    first = builder.insert_element(undefined, scalar, zero)
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, mask)


def multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """IR: a * b + c, in one instruction where the processor has it."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    name = f"llvm.fmuladd.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def minimum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """IR: the smaller of each pair; a where it is no number, so that what overflowed shows."""
    return builder.select(builder.fcmp_ordered("<", b, a), b, a)


def maximum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """IR: the larger of each pair; a where it is no number, so that what overflowed shows."""
    return builder.select(builder.fcmp_ordered(">", b, a), b, a)


def load_integer(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """IR: the 64-bit integer at an address."""
    return builder.load(builder.inttoptr(address, INT64.as_pointer()), align=8)


def load_activation(builder: ir.IRBuilder, address: ir.Value) -> list[ir.Value]:
    """IR: alpha, beta, low and high as vectors, and whether ``multiply`` is not 0.

    Args:
        address: of these five floats.
    """
    *numbers, multiply = (
        load_scalar(builder, builder.add(address, INT64(index * FLOAT_BYTES))) for index in range(5)
    )
    gated = builder.fcmp_ordered("!=", multiply, ir.Constant(FLOAT, 0.0))
    return [*(splat(builder, number) for number in numbers), gated]


def activate(builder: ir.IRBuilder, value: ir.Value, activation: list[ir.Value]) -> ir.Value:
    """IR: ``clip(alpha x + beta, low, high)``, times x where ``multiply``: `load_activation`."""
    alpha, beta, low, high, gated = activation
    bounded = multiply_add(builder, value, alpha, beta)
    bounded = minimum(builder, maximum(builder, bounded, low), high)
    return builder.select(gated, builder.fmul(bounded, value), bounded)


# Typed as anything: numba calls the functions with other arguments than they are written with.
# Untyped, as what it makes is called with numbers of compiled code.
operation: Any = intrinsic

Kernel = Callable[..., None]

# What an intrinsic says of itself: its types, and what writes its instructions.
Typed = tuple[Signature, Callable[..., ir.Value]]

_ADDRESS = types.intp


@operation
def vload(typing_context: object, address: types.Type) -> Typed:
    """The vector at an address."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return load_vector(builder, values[0])

    return vector_type(_ADDRESS), generate


@operation
def vstore(typing_context: object, address: types.Type, value: types.Type) -> Typed:
    """Write a vector to an address."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        store_vector(builder, values[1], values[0])
        return context.get_dummy_value()

    return types.void(_ADDRESS, vector_type), generate


@operation
def vsplat(typing_context: object, scalar: types.Type) -> Typed:
    """A vector of equal floats."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return splat(builder, values[0])

    return vector_type(types.float32), generate


@operation
def vfma(typing_context: object, a: types.Type, b: types.Type, c: types.Type) -> Typed:
    """a * b + c."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return multiply_add(builder, *values)

    return vector_type(vector_type, vector_type, vector_type), generate


@operation
def vadd(typing_context: object, a: types.Type, b: types.Type) -> Typed:
    """a + b."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return builder.fadd(*values)

    return vector_type(vector_type, vector_type), generate


@operation
def vmul(typing_context: object, a: types.Type, b: types.Type) -> Typed:
    """a * b."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return builder.fmul(*values)

    return vector_type(vector_type, vector_type), generate


@operation
def vactivate(
    typing_context: object, x: object, alpha: object, beta: object, low: object, high: object,
    multiply: object,
) -> Typed:  # fmt: skip
    """``clip(alpha x + beta, low, high)``, times x where ``multiply`` is not 0."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        *given, multiply = values
        gated = builder.icmp_signed("!=", multiply, INT64(0))
        return activate(builder, given[0], [*given[1:], gated])

    return vector_type(*[vector_type] * 5, types.intp), generate


@operation
def keep_apart(typing_context: object) -> Typed:
    """Keep the function that calls this out of its callers.

    Large kernels would otherwise be compiled once for each place they are called from.
    """

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate
