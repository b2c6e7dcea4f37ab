"""The sigmoid of vectors, and x times it: the activations that ask for an exponential.

``exp(-x) = 2**n 2**f`` with n whole and f within a half of zero: n goes to the exponent's bits, and
``2**f`` is a polynomial of degree 6 (its Taylor series, relative error 1.2e-7 with that of the last
place of float32).
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.access import Array, compiled, floats_at
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    VECTOR,
    VECTOR_BYTES,
    Typed,
    keep_apart,
    maximum,
    minimum,
    multiply_add,
    operation,
    vector_type,
    vload,
    vstore,
)

_INTEGERS = ir.VectorType(ir.IntType(32), LANES)
_ROUNDING = 1.5 * 2.0**23  # added to a float, it leaves the nearest whole number in its last bits
_MOST = 126.0  # beyond, 2**n has no ordinary float
_POLYNOMIAL = [math.log(2.0) ** power / math.factorial(power) for power in range(7)]


def _equal(number: float) -> ir.Constant:
    return ir.Constant(VECTOR, [float(np.float32(number))] * LANES)


def exponential(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """IR: ``exp(-x)``, at least 2**-126, infinite above 2**126; some number where x is none."""
    exact = builder.fmul(x, _equal(-1.0 / math.log(2.0)))
    power = minimum(builder, maximum(builder, exact, _equal(-_MOST)), _equal(_MOST))
    shifted = builder.fadd(power, _equal(_ROUNDING))
    rest = builder.fsub(power, builder.fsub(shifted, _equal(_ROUNDING)))
    *lower, value = (_equal(factor) for factor in _POLYNOMIAL)
    for factor in reversed(lower):
        value = multiply_add(builder, value, rest, factor)
    places = ir.Constant(_INTEGERS, [23] * LANES)
    exponent = builder.shl(builder.bitcast(shifted, _INTEGERS), places)
    finite = builder.bitcast(builder.add(builder.bitcast(value, _INTEGERS), exponent), VECTOR)
    is_large = builder.fcmp_ordered(">", exact, _equal(_MOST))
    return builder.select(is_large, _equal(math.inf), finite)


def _quotient(kind: str) -> Typed:
    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        one = _equal(1.0)
        below = builder.fadd(exponential(builder, values[0]), one)
        return builder.fdiv(values[0] if kind == "swish" else one, below)

    return vector_type(vector_type), generate


@operation
def vswish(typing_context: object, x: types.Type) -> Typed:
    """``x sigmoid(x)``."""
    return _quotient("swish")


@operation
def vsigmoid(typing_context: object, x: types.Type) -> Typed:
    """``1 / (1 + exp(-x))``; of what is no number some number."""
    return _quotient("sigmoid")


@compiled
def swish_floats(x: int, count: int) -> None:
    """Put ``x sigmoid(x)`` in the place of ``count`` floats."""
    keep_apart()
    whole = count - count % LANES
    for at in range(x, x + whole * FLOAT_BYTES, VECTOR_BYTES):
        vstore(at, vswish(vload(at)))
    if whole < count:
        # The rest as a vector too, so that a number's bits do not depend on where it stands.
        rest: Array = np.zeros(LANES, np.float32)
        floats = floats_at(x + whole * FLOAT_BYTES, count - whole)
        for index in range(count - whole):
            rest[index] = floats[index]
        vstore(rest.ctypes.data, vswish(vload(rest.ctypes.data)))
        for index in range(count - whole):
            floats[index] = rest[index]


@compiled
def sigmoid_floats(x: int, y: int, count: int, times_x: int) -> None:
    """The sigmoid of ``count`` floats, or with ``times_x`` x times it, to another place."""
    source, result = floats_at(x, count), floats_at(y, count)
    part: Array = np.zeros(LANES, np.float32)
    place = part.ctypes.data
    for first in range(0, count, LANES):
        last = min(first + LANES, count)
        for index in range(first, last):
            part[index - first] = source[index]
        value = vload(place)
        if times_x:
            vstore(place, vswish(value))
        else:
            vstore(place, vsigmoid(value))
        for index in range(first, last):
            # What is no number stays so.
            is_number = source[index] == source[index]
            result[index] = part[index - first] if is_number else source[index]
