"""A function of numbers on 8 bits: 256 results, looked up byte by byte.

Between two roundings every function is one: swish of a rounded map, rounded, costs what reading
and writing it does, and its bits are those that NumPy finds
(`operations.table_of`).
"""

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.access import Array, bytes_at, compiled
from paddlevideo.runtime.engines.compiled.host import config_text, features_of
from paddlevideo.runtime.engines.compiled.simd import INT64, LANES, Typed, keep_apart, operation

_WIDE = 64  # bytes of a vector whose instruction looks 64 numbers up
_BYTES = ir.VectorType(ir.IntType(8), _WIDE)
_HAS_INSTRUCTION = LANES == 16 and "avx512vbmi" in features_of(config_text())


@operation
def _look_up_block(typing_context: object, address: object, table: object) -> Typed:
    """64 bytes at an address, in their place, from a table of 256."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        address, table = values

        def place(at: ir.Value, offset: int) -> ir.Value:
            return builder.inttoptr(builder.add(at, INT64(offset)), _BYTES.as_pointer())

        steps = builder.load(place(address, 0), align=1)
        parts = [builder.load(place(table, _WIDE * n), align=1) for n in range(4)]
        kind = ir.FunctionType(_BYTES, [_BYTES] * 3)
        name = "llvm.x86.avx512.vpermi2var.qi.512"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        low = builder.call(function, [parts[0], steps, parts[1]])
        high = builder.call(function, [parts[2], steps, parts[3]])
        zeros = ir.Constant(_BYTES, [0] * _WIDE)
        is_high = builder.icmp_signed("<", steps, zeros)
        builder.store(builder.select(is_high, high, low), place(address, 0), align=1)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@compiled
def _look_up_blocks(address: int, count: int, table: int) -> int:
    """As many whole blocks as there are; gives how many bytes that were."""
    whole = count - count % _WIDE
    for at in range(0, whole, _WIDE):
        _look_up_block(address + at, table)
    return whole


@compiled
def _no_blocks(address: int, count: int, table: int) -> int:
    return 0


_begin = _look_up_blocks if _HAS_INSTRUCTION else _no_blocks


@compiled
def look_up(address: int, count: int, table: int) -> None:
    """Put in the place of ``count`` bytes what a table of 256 has for them."""
    keep_apart()
    first = _begin(address, count, table)
    steps: Array = bytes_at(address, count)
    results: Array = bytes_at(table, 256)
    for index in range(first, count):
        steps[index] = results[steps[index]]
