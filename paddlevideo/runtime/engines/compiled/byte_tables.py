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
    INT64,
    LANES,
    VECTOR_BYTES,
    Typed,
    keep_apart,
    load_vector,
    operation,
)

PERMUTES = host().permutes_bytes
"""Whether a table is looked up in registers, many bytes at a time."""
_ALL = ir.VectorType(ir.IntType(8), VECTOR_BYTES)
_LANES = ir.VectorType(ir.IntType(8), LANES)
_PLACES = ir.VectorType(ir.IntType(32), VECTOR_BYTES)
_ADDRESS = types.intp


def load_table(builder: ir.IRBuilder, address: ir.Value) -> list[ir.Value]:
    """IR: a table as four vectors of 64 bytes; where `PERMUTES`."""
    places = [builder.add(address, INT64(64 * number)) for number in range(4)]
    return [builder.bitcast(load_vector(builder, place), _ALL) for place in places]


def permuted(builder: ir.IRBuilder, table: list[ir.Value], x: ir.Value) -> ir.Value:
    """IR: each byte of a vector of any type replaced by that of a table, see `load_table`."""
    kind, x_bytes = ir.FunctionType(_ALL, [_ALL] * 3), builder.bitcast(x, _ALL)
    name = "llvm.x86.avx512.vpermi2var.qi.512"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    low = builder.call(function, [table[0], x_bytes, table[1]])
    high = builder.call(function, [table[2], x_bytes, table[3]])
    is_low = builder.icmp_signed(">=", x_bytes, ir.Constant(_ALL, [0] * VECTOR_BYTES))
    return builder.bitcast(builder.select(is_low, low, high), x.type)


@operation
def _vlook_up(typing_context: object, target: object, source: object, table: object) -> Typed:
    """Look as many bytes up as a vector has lanes."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        to, at = (builder.inttoptr(value, _LANES.as_pointer()) for value in values[:2])
        given = builder.load(at, align=1)
        places = ir.Constant(_PLACES, [*range(LANES), *[LANES] * (VECTOR_BYTES - LANES)])
        wide = builder.shuffle_vector(given, ir.Constant(_LANES, None), places)
        found = permuted(builder, load_table(builder, values[2]), wide)
        first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(range(LANES)))
        builder.store(builder.shuffle_vector(found, found, first), to, align=1)
        return context.get_dummy_value()

    return types.void(*[_ADDRESS] * 3), generate


@compiled
def _by_vectors(x: int, ldx: int, rows: int, vectors: int, table: int, y: int, ldy: int) -> None:
    keep_apart()
    for row in range(rows):
        for vector in range(vectors):
            at = vector * LANES
            _vlook_up(y + row * ldy + at, x + row * ldx + at, table)


@compiled
def _one_by_one(x: int, ldx: int, rows: int, vectors: int, table: int, y: int, ldy: int) -> None:
    keep_apart()
    made = bytes_at(table, 256)
    for row in range(rows):
        given = bytes_at(x + row * ldx, vectors * LANES)
        result = bytes_at(y + row * ldy, vectors * LANES)
        for index in range(vectors * LANES):
            result[index] = made[given[index]]


look_up = _by_vectors if PERMUTES else _one_by_one
"""Replace each byte of rows of ``vectors * LANES`` by that of a table, into other rows.

Its arguments: address of the bytes, and bytes between two rows; rows; vectors; address of the
table; address of the result, whose rows are written one after the other, and bytes between two of
them.
"""


@operation
def _look_up_block(typing_context: object, address: object, table: object) -> Typed:
    """Look 64 bytes up, into their own place."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        address, table = values
        place = builder.inttoptr(address, _ALL.as_pointer())
        found = permuted(builder, load_table(builder, table), builder.load(place, align=1))
        builder.store(found, place, align=1)
        return context.get_dummy_value()

    return types.void(_ADDRESS, _ADDRESS), generate


@compiled
def _look_up_blocks(address: int, count: int, table: int) -> int:
    """As many whole blocks as there are; gives how many bytes that were."""
    whole = count - count % VECTOR_BYTES
    for at in range(0, whole, VECTOR_BYTES):
        _look_up_block(address + at, table)
    return whole


@compiled
def _no_blocks(address: int, count: int, table: int) -> int:
    return 0


_begin = _look_up_blocks if PERMUTES else _no_blocks


@compiled
def look_up_in_place(address: int, count: int, table: int) -> None:
    """Replace each of ``count`` bytes, and no others, by that of a table."""
    keep_apart()
    first = _begin(address, count, table)
    steps, made = bytes_at(address, count), bytes_at(table, 256)
    for index in range(first, count):
        steps[index] = made[steps[index]]
