"""What becomes of each byte where a function stands between two roundings: tables of 256 bytes.

The first rounding leaves 256 values, so the function and the second rounding are computed once for
each of them (`integer_reference.byte_table`), as the file says, and looked up: on every processor
the same bytes.
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.access import bytes_at, compiled
from paddlevideo.runtime.engines.compiled.host import host
from paddlevideo.runtime.engines.compiled.simd import (
    LANES,
    VECTOR,
    VECTOR_BYTES,
    Typed,
    keep_apart,
    operation,
    vector_type,
    vload,
    vstore,
)

PERMUTES = host().permutes_bytes
_ALL = ir.VectorType(ir.IntType(8), VECTOR_BYTES)
_LANES = ir.VectorType(ir.IntType(8), LANES)
_ADDRESS = types.intp


@operation
def _vpermute(
    typing_context: object, one: object, two: object, three: object, four: object, x: object
) -> Typed:
    """For each byte of a vector that of a table of four vectors of 64 bytes."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        *table, x = (builder.bitcast(value, _ALL) for value in values)
        kind = ir.FunctionType(_ALL, [_ALL] * 3)
        name = "llvm.x86.avx512.vpermi2var.qi.512"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        low = builder.call(function, [table[0], x, table[1]])
        high = builder.call(function, [table[2], x, table[3]])
        is_low = builder.icmp_signed(">=", x, ir.Constant(_ALL, [0] * VECTOR_BYTES))
        return builder.bitcast(builder.select(is_low, low, high), VECTOR)

    return vector_type(*[vector_type] * 5), generate


@operation
def _vmove_bytes(typing_context: object, target: object, source: object) -> Typed:
    """Copy as many bytes as a vector has lanes."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        to, at = (builder.inttoptr(value, _LANES.as_pointer()) for value in values)
        builder.store(builder.load(at, align=1), to, align=1)
        return context.get_dummy_value()

    return types.void(_ADDRESS, _ADDRESS), generate


@compiled
def _by_vectors(x: int, ldx: int, rows: int, vectors: int, table: int, y: int, ldy: int) -> None:
    keep_apart()
    one, two = vload(table), vload(table + VECTOR_BYTES)
    three, four = vload(table + 2 * VECTOR_BYTES), vload(table + 3 * VECTOR_BYTES)
    for at in range(0, rows * ldx, VECTOR_BYTES):
        vstore(x + at, _vpermute(one, two, three, four, vload(x + at)))
    for row in range(rows):
        for vector in range(vectors):
            at = vector * LANES
            _vmove_bytes(y + row * ldy + at, x + row * ldx + at)


@compiled
def _one_by_one(x: int, ldx: int, rows: int, vectors: int, table: int, y: int, ldy: int) -> None:
    keep_apart()
    made = bytes_at(table, 256)
    for row in range(rows):
        given, result = bytes_at(x + row * ldx, vectors * LANES), bytes_at(y + row * ldy, ldy)
        for index in range(vectors * LANES):
            result[index] = made[given[index]]


look_up = _by_vectors if PERMUTES else _one_by_one
"""Replace each byte of rows of ``vectors * LANES`` by that of a table, into other rows.

Its arguments: address of the bytes, which may be overwritten and are followed by a vector of
slack, and bytes between two rows; rows; vectors; address of the table; address of the result,
whose rows are written one after the other, and bytes between two of them.
"""
