"""The inner loop of a matrix product: a block of results that stays in registers.

It is written as LLVM code because a compiler does not find this form from loops: every sum in a
register of its own, each number of ``a`` read once for all vectors, each vector of ``b`` once for
all rows.
"""

from collections.abc import Callable

from llvmlite import ir
from numba.core import types
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    INT64,
    LINE_BYTES,
    VECTOR,
    VECTOR_BYTES,
    Kernel,
    Typed,
    activate,
    load_activation,
    load_integer,
    load_scalar,
    load_vector,
    multiply_add,
    operation,
    prefetch,
    splat,
    store_vector,
)

Multiply = Callable[[ir.IRBuilder, ir.Value, ir.Value, ir.Value], ir.Value]
"""IR: a * b + c of vectors, each number of ``a`` and ``b`` in the place of a float."""

_I = types.intp
_SIGNATURE = types.void(*[_I] * 11)
_GROUP = 4  # rows whose addresses are told apart by multiples of one stride


def tile(
    rows: int,
    vectors: int,
    gather: bool = False,
    lines: int = 1,
    multiply: Multiply = multiply_add,
) -> Kernel:
    """A numba function of ``rows`` x ``vectors * LANES`` numbers of ``activation(a @ b + bias)``.

    Its arguments: address of a, and bytes between its rows; address of b, packed [depth, vectors *
    LANES]; depth; address of the result, and bytes between its rows; address of the bias; address
    of a shortcut to be added (0: none), whose rows lie as the result's; address of ``depth``
    integers, with ``gather``: bytes from a row's address to each of its numbers, which otherwise
    follow each other; address of the activation, see `simd.load_activation`; and an address from
    which on ``lines`` cache lines are prefetched with each step of the depth: memory that is needed
    later comes while the processor multiplies.

    ``multiply`` may take what lies in the place of a float for something else: a pair of smaller
    numbers, for instance.
    """

    @operation
    def block(
        typing_context: object, a: object, lda: object, b: object, depth: object, c: object,
        ldc: object, bias: object, shortcut: object, input_offsets: object, activation: object,
        ahead: object,
    ) -> Typed:  # fmt: skip
        """Emit the products of a tile; see above."""

        def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
            _Block(builder, values, (rows, vectors), gather, lines, multiply).emit()
            return context.get_dummy_value()

        return _SIGNATURE, generate

    return block


class _Block:
    """Emits the code of one block."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        values: list,
        shape: tuple[int, int],
        gather: bool,
        lines: int,
        multiply: Multiply,
    ) -> None:
        (self.a, self.lda, self.b, self.depth, self.c, self.ldc, self.bias,
         self.shortcut, self.input_offsets, self.activation, self.ahead) = values  # fmt: skip
        self.builder, self.gather, self.lines = builder, gather, lines
        self.multiply = multiply
        self.rows, self.vectors = shape
        self.cells = [(row, vector) for row in range(self.rows) for vector in range(self.vectors)]

    def emit(self) -> None:
        """Sums, shortcut, activation, results."""
        sums = self._with_shortcut(self._sums())
        activation = load_activation(self.builder, self.activation)
        for cell, value in zip(self.cells, sums, strict=True):
            result = activate(self.builder, value, activation)
            store_vector(self.builder, result, self._place(self.c, *cell))

    def _place(self, base: ir.Value, row: int, vector: int) -> ir.Value:
        offset = self.builder.mul(self.ldc, INT64(row))
        address = self.builder.add(base, offset)
        return self.builder.add(address, INT64(vector * VECTOR_BYTES))

    def _vectors_at(self, address: ir.Value) -> list[ir.Value]:
        offsets = [INT64(vector * VECTOR_BYTES) for vector in range(self.vectors)]
        return [load_vector(self.builder, self.builder.add(address, offset)) for offset in offsets]

    def _sums(self) -> list[ir.Value]:
        builder = self.builder
        multiples = [builder.mul(self.lda, INT64(n)) for n in range(min(_GROUP, self.rows))]
        groups = range(0, self.rows, _GROUP)
        starts = [builder.add(self.a, builder.mul(self.lda, INT64(row))) for row in groups]
        biases = self._vectors_at(self.bias)
        before = builder.block
        loop = builder.append_basic_block("depth")
        done = builder.append_basic_block("sums")
        builder.branch(loop)
        builder.position_at_end(loop)
        step, b_now, ahead = (builder.phi(INT64) for _ in range(3))
        a_now = [builder.phi(INT64) for _ in groups]
        old = [builder.phi(VECTOR) for _ in self.cells]
        for line in range(self.lines):
            prefetch(builder, builder.add(ahead, INT64(line * LINE_BYTES)))
        columns = self._vectors_at(b_now)
        new = []
        for row in range(self.rows):
            address = builder.add(self._start(a_now, row, step), multiples[row % _GROUP])
            number = splat(builder, load_scalar(builder, address))
            new += [
                self.multiply(builder, number, column, old[row * self.vectors + vector])
                for vector, column in enumerate(columns)
            ]
        next_step = builder.add(step, INT64(1))
        next_b = builder.add(b_now, INT64(self.vectors * VECTOR_BYTES))
        next_ahead = builder.add(ahead, INT64(self.lines * LINE_BYTES))
        advance = INT64(0 if self.gather else FLOAT_BYTES)
        next_a = [builder.add(address, advance) for address in a_now]
        builder.cbranch(builder.icmp_signed("<", next_step, self.depth), loop, done)
        for phi, first, following in [
            (step, INT64(0), next_step),
            (b_now, self.b, next_b),
            (ahead, self.ahead, next_ahead),
            *zip(a_now, starts, next_a, strict=True),
            *zip(old, biases * self.rows, new, strict=True),
        ]:
            phi.add_incoming(first, before)
            phi.add_incoming(following, loop)
        builder.position_at_end(done)
        return new

    def _start(self, a_now: list[ir.Value], row: int, step: ir.Value) -> ir.Value:
        start = a_now[row // _GROUP]
        if not self.gather:
            return start
        position = self.builder.add(self.input_offsets, self.builder.mul(step, INT64(8)))
        return self.builder.add(start, load_integer(self.builder, position))

    def _with_shortcut(self, sums: list[ir.Value]) -> list[ir.Value]:
        builder = self.builder
        without = builder.block
        add = builder.append_basic_block("shortcut")
        done = builder.append_basic_block("result")
        builder.cbranch(builder.icmp_signed("==", self.shortcut, INT64(0)), done, add)
        builder.position_at_end(add)
        added = [
            builder.fadd(value, load_vector(builder, self._place(self.shortcut, *cell)))
            for cell, value in zip(self.cells, sums, strict=True)
        ]
        builder.branch(done)
        builder.position_at_end(done)
        results = [builder.phi(VECTOR) for _ in sums]
        for phi, value, more in zip(results, sums, added, strict=True):
            phi.add_incoming(value, without)
            phi.add_incoming(more, add)
        return results


def depthwise_span(kernel: int) -> Kernel:
    """A numba function of one row of a depthwise convolution, for one vector of channels.

    Its arguments: address of ``kernel`` integers, the addresses of the input rows under the first
    output; bytes to this vector's channels; bytes between the inputs of two outputs, and between
    two pixels of the input; address of the weights [kernel * kernel, channels], and bytes between
    two of them; address of the first output, bytes between two outputs, number of outputs; address
    of the bias; address of what is to be added (0: none), which lies as the outputs; address of the
    activation, see `simd.load_activation`.
    """

    @operation
    def span(
        typing_context: object, rows: object, at: object, step: object, pixel: object, w: object,
        ldw: object, y: object, ldy: object, count: object, bias: object, shortcut: object,
        activation: object,
    ) -> Typed:  # fmt: skip
        """Emit the outputs of a run of pixels; see above."""

        def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
            _emit_span(builder, values, kernel)
            return context.get_dummy_value()

        return types.void(*[_I] * 12), generate

    return span


def _emit_span(builder: ir.IRBuilder, values: list, kernel: int) -> None:
    rows, at, step, pixel, w, ldw, y, ldy, count, bias, shortcut, activation = values
    taps = [(ky, kx) for ky in range(kernel) for kx in range(kernel)]
    weights = [
        load_vector(builder, builder.add(w, builder.mul(ldw, INT64(number))))
        for number in range(len(taps))
    ]
    column_offsets = [builder.mul(pixel, INT64(kx)) for kx in range(kernel)]
    starts = [
        builder.add(load_integer(builder, builder.add(rows, INT64(8 * ky))), at)
        for ky in range(kernel)
    ]
    loaded = load_activation(builder, activation)
    first, zero = load_vector(builder, bias), ir.Constant(VECTOR, [0.0] * VECTOR.count)
    before = builder.block
    loop, add, finish, done = (
        builder.append_basic_block(name) for name in ("pixel", "add", "finish", "done")
    )
    builder.branch(loop)
    builder.position_at_end(loop)
    index, y_now, s_now, *x_now = (builder.phi(INT64) for _ in range(3 + kernel))
    # Two sums: one would wait for each of its multiply-adds.
    sums = [first, zero]
    for number, ((ky, kx), weight) in enumerate(zip(taps, weights, strict=True)):
        value = load_vector(builder, builder.add(x_now[ky], column_offsets[kx]))
        sums[number % 2] = multiply_add(builder, value, weight, sums[number % 2])
    total = builder.fadd(*sums)
    builder.cbranch(builder.icmp_signed("==", shortcut, INT64(0)), finish, add)
    builder.position_at_end(add)
    more = builder.fadd(total, load_vector(builder, s_now))
    builder.branch(finish)
    builder.position_at_end(finish)
    result = builder.phi(VECTOR)
    result.add_incoming(total, loop)
    result.add_incoming(more, add)
    store_vector(builder, activate(builder, result, loaded), y_now)
    # The next row's outputs: a store to memory that is not in the cache would wait for it.
    prefetch(builder, builder.add(y_now, builder.mul(ldy, count)))
    moves = [(index, INT64(0), INT64(1)), (y_now, y, ldy), (s_now, shortcut, ldy)]
    moves += [(row, start, step) for row, start in zip(x_now, starts, strict=True)]
    following = [builder.add(phi, by) for phi, _, by in moves]
    builder.cbranch(builder.icmp_signed("<", following[0], count), loop, done)
    for (phi, start, _), after in zip(moves, following, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(after, finish)
    builder.position_at_end(done)
