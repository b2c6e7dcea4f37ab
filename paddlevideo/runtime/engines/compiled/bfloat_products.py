"""Matrix products of bfloat16: two multiply-adds an instruction, the sums in float32.

Two steps of the depth lie in the place of one float, in the packed weights and in the rows of a
map, so that the tiles and panels are those of `products` with half the depth. Rows are rounded to
such pairs before they are multiplied, some at a time, in memory of the operation's own; a gate is
multiplied into them first.

None of it is part of the loop, which calls `bfloat_product` by its address (`product_call`): it is
compiled when the first program asks for it.
"""

import math

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.access import compiled, halves_at, words_at
from paddlevideo.runtime.engines.compiled.products import ROWS, dense_of
from paddlevideo.runtime.engines.compiled.simd import (
    LANES,
    LINE_BYTES,
    VECTOR,
    VECTOR_BYTES,
    Typed,
    keep_apart,
    operation,
    vector_type,
    vload,
    vmul,
    vstore,
)

# The instructions are declared with integers, as LLVM 15 has them: later ones know bfloat16 as a
# type, which llvmlite's builder does not, and read the older form too.
_PAIRS = ir.VectorType(ir.IntType(32), LANES)
_HALVES = ir.VectorType(ir.IntType(16), 2 * LANES)
_HALF_BYTES = 2
_CHUNK = 2 * LANES  # numbers of a row that are rounded together
_BLOCK_BYTES = 32 << 10  # of rounded rows at a time: they stay in the nearest caches
_WHOLE_TILES = math.lcm(ROWS[2], ROWS[3])  # rows


def multiply_pairs(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """IR: both products of each pair, added to a sum: AVX512-BF16's ``VDPBF16PS``."""
    kind = ir.FunctionType(VECTOR, [VECTOR, _PAIRS, _PAIRS])
    name = "llvm.x86.avx512bf16.dpbf16ps.512"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [c, builder.bitcast(a, _PAIRS), builder.bitcast(b, _PAIRS)])


@operation
def _vround(typing_context: object, first: types.Type, second: types.Type) -> Typed:
    """Two vectors of floats, each rounded to the nearest bfloat16, in the place of one."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        kind = ir.FunctionType(_HALVES, [VECTOR, VECTOR])
        name = "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        first, second = values
        return builder.bitcast(builder.call(function, [second, first]), VECTOR)

    return vector_type(vector_type, vector_type), generate


@compiled
def row_bytes(depth: int) -> int:
    """Bytes of a rounded row: whole cache lines."""
    return (depth * _HALF_BYTES + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES


@compiled
def rows_at_once(depth: int) -> int:
    """Rows that are rounded, then multiplied, together."""
    return max(_BLOCK_BYTES // row_bytes(depth) // _WHOLE_TILES, 1) * _WHOLE_TILES


@compiled
def round_rows(a: int, lda: int, rows: int, depth: int, gate: int, y: int) -> None:
    """Round rows of ``depth`` floats, times the gate's where there is one (0: none).

    What follows a row is rounded with it to the end of a cache line, and not multiplied.
    """
    keep_apart()
    for row in range(rows):
        x, to = a + row * lda, y + row * row_bytes(depth)
        for number in range(0, depth, _CHUNK):
            at = number * VECTOR_BYTES // LANES
            first, second = vload(x + at), vload(x + at + VECTOR_BYTES)
            if gate:
                first = vmul(first, vload(gate + at))
                second = vmul(second, vload(gate + at + VECTOR_BYTES))
            vstore(to + number * _HALF_BYTES, _vround(first, second))
        if depth % 2:
            halves_at(to, depth + 1)[depth] = 0


_dense = dense_of(multiply_pairs)


def bfloat_product(
    a: int, lda: int, rows: int, panels: int, num_panels: int, b: int, depth: int, c: int,
    ldc: int, bias: int, shortcut: int, activation: int, gate: int, pairs: int, ahead: int,
    regions: int, num_regions: int,
) -> int:  # fmt: skip
    """`products.dense` of bfloat16; arrays are given as addresses of their 64-bit integers.

    Args:
        gate: address of a factor for each step of the depth, with slack as behind a map; 0: none.
        pairs: memory for `rows_at_once` rounded rows.
    """
    listed = words_at(panels, 3 * num_panels).reshape((num_panels, 3))
    needed = words_at(regions, 2 * num_regions).reshape((num_regions, 2))
    now = words_at(ahead, 4)
    most = rows_at_once(depth)
    for first in range(0, rows, most):
        count = min(most, rows - first)
        round_rows(a + first * lda, lda, count, depth, gate, pairs)
        _dense(
            pairs, row_bytes(depth), count, listed, b, (depth + 1) // 2, c + first * ldc, ldc,
            bias, shortcut + first * ldc if shortcut else 0, activation, now, needed,
        )  # fmt: skip
    return 0
