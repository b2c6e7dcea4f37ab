"""A matrix product in the form that its record asks for."""

from llvmlite import ir
from numba import types
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.access import Array, compiled
from paddlevideo.runtime.engines.compiled.products import dense
from paddlevideo.runtime.engines.compiled.simd import INT64, Typed, operation

_I = types.intp
NUM_ARGUMENTS = 17
"""Integers that a function of products takes: those of `bfloat_products.bfloat_product`."""


@operation
def _call(typing_context: object, address: object, arguments: object) -> Typed:
    """Call the function at an address, which takes integers and gives one."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        address, given = values
        kind = ir.FunctionType(INT64, [INT64] * NUM_ARGUMENTS)
        numbers = [builder.extract_value(given, index) for index in range(NUM_ARGUMENTS)]
        builder.call(builder.inttoptr(address, kind.as_pointer()), numbers)
        return context.get_dummy_value()

    return types.void(_I, types.UniTuple(_I, NUM_ARGUMENTS)), generate


@compiled
def product(
    function: int,
    gate: int,
    pairs: int,
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
    """`products.dense`, or what stands for it.

    Args:
        function: address of another function of products; 0: `products.dense`, for which the gate
            is in the weights.
        gate, pairs: see `bfloat_products.bfloat_product`; for the other function alone.
    """
    if function:
        _call(
            function,
            (
                a, lda, rows, panels.ctypes.data, panels.shape[0], b, depth, c, ldc, bias,
                shortcut, activation, gate, pairs, ahead.ctypes.data, regions.ctypes.data,
                regions.shape[0],
            ),
        )  # fmt: skip
    else:
        dense(a, lda, rows, panels, b, depth, c, ldc, bias, shortcut, activation, ahead, regions)
