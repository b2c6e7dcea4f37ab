"""The inner loops of products on 8 bits: sums of integers that stay in registers until rounded.

Each sum takes four products at a time (`integer_simd.multiply_four`), so weights lie in fours of
the depth: [depth / 4, channels, 4]. The sums are exact; what becomes of them is either rounded to
8 bits here, or given as integers to `integer_finish`.
"""

from llvmlite import ir
from numba.core import types
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.byte_tables import PERMUTES, load_table, permuted
from paddlevideo.runtime.engines.compiled.integer_simd import (
    INTEGERS,
    as_floats,
    load_bytes,
    load_integers,
    load_limits,
    multiply_four,
    nearest,
    splat_four,
    store_bytes,
    store_integers,
)
from paddlevideo.runtime.engines.compiled.processor import Form
from paddlevideo.runtime.engines.compiled.simd import (
    INT64,
    LANES,
    LINE_BYTES,
    VECTOR_BYTES,
    Kernel,
    Typed,
    load_integer,
    load_vector,
    maximum,
    minimum,
    operation,
    prefetch,
)

_I = types.intp
_GROUP = 4  # rows whose addresses are told apart by multiples of one stride


def integer_tile(rows: int, vectors: int, form: Form, gather: bool = False) -> Kernel:
    """A numba function of ``rows`` x ``vectors * LANES`` sums of a @ b + bias.

    Its arguments: address of a, unsigned bytes, and bytes between its rows; address of b, packed
    [steps, vectors * LANES, 4]; steps, each of four numbers of a row of a; address of the result,
    and bytes between its rows; address of the bias, integers; address of a factor for each channel;
    address of the limits (0: the result is the sums themselves), see `integer_simd.load_limits`:
    then it is bytes, the sums times their factors, rounded; address of the table in which these
    bytes are looked up (0: none), see `byte_tables`, on processors that can do so in registers;
    address of ``steps`` integers, with ``gather``: bytes from a row's address to each four numbers,
    which otherwise follow each other; and an address from which on a cache line is prefetched with
    each step.
    """

    @operation
    def block(
        typing_context: object, a: object, lda: object, b: object, steps: object, c: object,
        ldc: object, bias: object, factors: object, limits: object, table: object,
        input_offsets: object, ahead: object,
    ) -> Typed:  # fmt: skip
        """Emit the products of a tile; see above."""

        def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
            _Block(builder, values, (rows, vectors), form, gather).emit()
            return context.get_dummy_value()

        return types.void(*[_I] * 12), generate

    return block


class _Block:
    """Emits the code of one block."""

    def __init__(
        self, builder: ir.IRBuilder, values: list, shape: tuple[int, int], form: Form, gather: bool
    ) -> None:
        (self.a, self.lda, self.b, self.steps, self.c, self.ldc, self.bias, self.factors,
         self.limits, self.table, self.input_offsets, self.ahead) = values  # fmt: skip
        self.builder, self.form, self.gather = builder, form, gather
        self.rows, self.vectors = shape
        self.cells = [(row, vector) for row in range(self.rows) for vector in range(self.vectors)]

    def emit(self) -> None:
        """Sums; then bytes, or integers as they are."""
        sums = self._sums()
        builder = self.builder
        round_off, keep, done = (
            builder.append_basic_block(name) for name in ("round", "keep", "stored")
        )
        builder.cbranch(builder.icmp_signed("==", self.limits, INT64(0)), keep, round_off)
        builder.position_at_end(keep)
        for (row, vector), value in zip(self.cells, sums, strict=True):
            store_integers(builder, value, self._place(row, vector * VECTOR_BYTES))
        builder.branch(done)
        builder.position_at_end(round_off)
        factors = [load_vector(builder, address) for address in self._columns(self.factors)]
        limits = load_limits(builder, self.limits)
        whole = [
            round_sums(builder, value, factors[vector], limits)
            for (_, vector), value in zip(self.cells, sums, strict=True)
        ]
        if PERMUTES:
            self._store_looked_up(whole, done)
        self._store(whole)
        builder.branch(done)
        builder.position_at_end(done)

    def _store_looked_up(self, whole: list[ir.Value], done: ir.Block) -> None:
        """Where there is a table: the bytes that it has for these, and go to ``done``."""
        builder = self.builder
        look_up, plain = (builder.append_basic_block(name) for name in ("look_up", "plain"))
        builder.cbranch(builder.icmp_signed("==", self.table, INT64(0)), plain, look_up)
        builder.position_at_end(look_up)
        table = load_table(builder, self.table)
        self._store([permuted(builder, table, value) for value in whole])
        builder.branch(done)
        builder.position_at_end(plain)

    def _store(self, whole: list[ir.Value]) -> None:
        """Write the lowest byte of each result."""
        for (row, vector), value in zip(self.cells, whole, strict=True):
            store_bytes(self.builder, value, self._place(row, vector * LANES))

    def _place(self, row: int, column: int) -> ir.Value:
        offset = self.builder.mul(self.ldc, INT64(row))
        return self.builder.add(self.builder.add(self.c, offset), INT64(column))

    def _columns(self, address: ir.Value) -> list[ir.Value]:
        offsets = [INT64(vector * VECTOR_BYTES) for vector in range(self.vectors)]
        return [self.builder.add(address, offset) for offset in offsets]

    def _sums(self) -> list[ir.Value]:
        builder = self.builder
        multiples = [builder.mul(self.lda, INT64(n)) for n in range(min(_GROUP, self.rows))]
        groups = range(0, self.rows, _GROUP)
        starts = [builder.add(self.a, builder.mul(self.lda, INT64(row))) for row in groups]
        biases = [load_integers(builder, address) for address in self._columns(self.bias)]
        before = builder.block
        loop = builder.append_basic_block("depth")
        done = builder.append_basic_block("sums")
        builder.branch(loop)
        builder.position_at_end(loop)
        step, b_now, ahead = (builder.phi(INT64) for _ in range(3))
        a_now = [builder.phi(INT64) for _ in groups]
        old = [builder.phi(INTEGERS) for _ in self.cells]
        prefetch(builder, ahead)
        columns = [load_integers(builder, address) for address in self._columns(b_now)]
        shift = self._shift(step)
        new = []
        for row in range(self.rows):
            address = builder.add(a_now[row // _GROUP], multiples[row % _GROUP])
            numbers = splat_four(builder, builder.add(address, shift))
            new += [
                multiply_four(builder, self.form, old[row * self.vectors + vector], numbers, column)
                for vector, column in enumerate(columns)
            ]
        next_step = builder.add(step, INT64(1))
        next_b = builder.add(b_now, INT64(self.vectors * VECTOR_BYTES))
        next_ahead = builder.add(ahead, INT64(LINE_BYTES))
        advance = INT64(0 if self.gather else 4)
        next_a = [builder.add(address, advance) for address in a_now]
        builder.cbranch(builder.icmp_signed("<", next_step, self.steps), loop, done)
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

    def _shift(self, step: ir.Value) -> ir.Value:
        if not self.gather:
            return INT64(0)
        position = self.builder.add(self.input_offsets, self.builder.mul(step, INT64(8)))
        return load_integer(self.builder, position)


def round_sums(
    builder: ir.IRBuilder, sums: ir.Value, factors: ir.Value, limits: tuple[ir.Value, ...]
) -> ir.Value:
    """IR: sums times factors, rounded within limits; the bytes are the lowest of the integers."""
    low, high, zero = limits
    scaled = builder.fmul(as_floats(builder, sums), factors)
    return nearest(builder, minimum(builder, maximum(builder, scaled, low), high), zero)


def integer_span(
    kernel: int, stride: int, form: Form, code: "type[SpanCode] | None" = None
) -> Kernel:
    """A numba function of one row of a depthwise convolution, for one vector of channels.

    Of a row of pixels the last four, each a byte of the channel's integer, move on with the window,
    so that one product takes four places of a row of the kernel.

    Its arguments: address of ``kernel`` integers, the addresses of the input rows under the first
    output; bytes to this vector's channels; bytes between two pixels of the input; address of the
    weights, see `packed_taps`, and bytes between two of them; address of the first output, bytes
    between two outputs, number of outputs; address of the bias; address of the factors; and address
    of the limits (0: the outputs are the sums).

    Args:
        code: what emits it, `SpanCode` by default.
    """
    emitted = code or SpanCode

    @operation
    def span(
        typing_context: object, rows: object, at: object, pixel: object, w: object, ldw: object,
        y: object, ldy: object, count: object, bias: object, factors: object, limits: object,
    ) -> Typed:  # fmt: skip
        """Emit the outputs of a run of pixels; see above."""

        def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
            emitted(builder, values, kernel, stride, form).emit()
            return context.get_dummy_value()

        return types.void(*[_I] * 11), generate

    return span


def fours_of(kernel: int) -> list[list[int]]:
    """For each product of a row of a kernel the place of the kernel that each byte stands for.

    -1: none, the weight is 0. The last product is of the newest four pixels, one before it of those
    four before the last pixel came.
    """
    if kernel > 5:
        raise ValueError(f"a kernel of {kernel}")
    newest = [kernel - 4 + position if kernel >= 4 - position else -1 for position in range(4)]
    return [newest] if kernel < 5 else [[0, -1, -1, -1], newest]


class SpanCode:
    """Emits the code of one row."""

    def __init__(
        self, builder: ir.IRBuilder, values: list, kernel: int, stride: int, form: Form
    ) -> None:
        (self.table, self.at, self.pixel, self.w, self.ldw, self.y, self.ldy, self.count,
         self.bias, self.factors, self.limits) = values  # fmt: skip
        self.builder, self.kernel, self.form = builder, kernel, form
        self.stride = stride
        self.fours = len(fours_of(kernel))
        self.pushed = min(stride, kernel)  # pixels that come into the window with each output

    def emit(self) -> None:
        """One output after the other; the window's pixels are handed on in registers."""
        builder = self.builder
        weights = [
            load_integers(builder, builder.add(self.w, builder.mul(self.ldw, INT64(number))))
            for number in range(self.kernel * self.fours)
        ]
        bias, factors = load_integers(builder, self.bias), load_vector(builder, self.factors)
        offsets = [builder.mul(self.pixel, INT64(n)) for n in range(self.kernel)]
        rows = [
            builder.add(load_integer(builder, builder.add(self.table, INT64(8 * ky))), self.at)
            for ky in range(self.kernel)
        ]
        windows = [self._first(row, offsets) for row in rows]
        raw = builder.icmp_signed("==", self.limits, INT64(0))
        limits = load_limits(builder, builder.select(raw, self.factors, self.limits))
        step = builder.mul(self.pixel, INT64(self.stride))
        before = builder.block
        loop, keep, round_off, follow, done = (
            builder.append_basic_block(name) for name in ("pixel", "keep", "round", "next", "done")
        )
        builder.branch(loop)
        builder.position_at_end(loop)
        index, y_now, *x_now = (builder.phi(INT64) for _ in range(2 + self.kernel))
        held = [builder.phi(INTEGERS) for _ in rows]
        total, moved = self._sums(self.first_sum(bias, index), weights, held, x_now, offsets)
        builder.cbranch(raw, keep, round_off)
        builder.position_at_end(keep)
        store_integers(builder, total, y_now)
        builder.branch(follow)
        builder.position_at_end(round_off)
        store_bytes(builder, round_sums(builder, total, factors, limits), y_now)
        builder.branch(follow)
        builder.position_at_end(follow)
        moves = [(index, INT64(0), INT64(1)), (y_now, self.y, self.ldy)]
        moves += [(row, start, step) for row, start in zip(x_now, rows, strict=True)]
        following = [builder.add(phi, by) for phi, _, by in moves]
        builder.cbranch(builder.icmp_signed("<", following[0], self.count), loop, done)
        for (phi, start, _), after in zip(moves, following, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(after, follow)
        for phi, start, after in zip(held, windows, moved, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(after, follow)
        builder.position_at_end(done)

    def first_sum(self, bias: ir.Value, index: ir.Value) -> ir.Value:
        """What the sum of an output begins with."""
        return bias

    def _push(self, window: ir.Value, address: ir.Value) -> ir.Value:
        """The window with the pixel at an address as its newest byte, without its oldest."""
        builder = self.builder
        newest = builder.shl(load_bytes(builder, address), ir.Constant(INTEGERS, [24] * LANES))
        return builder.or_(builder.lshr(window, ir.Constant(INTEGERS, [8] * LANES)), newest)

    def _first(self, row: ir.Value, offsets: list[ir.Value]) -> ir.Value:
        """The window of a row before the first output's last pixels came."""
        window = ir.Constant(INTEGERS, [0] * LANES)
        for offset in offsets[: self.kernel - self.pushed]:
            window = self._push(window, self.builder.add(row, offset))
        return window

    def _sums(
        self,
        bias: ir.Value,
        weights: list[ir.Value],
        held: list[ir.Value],
        x_now: list[ir.Value],
        offsets: list[ir.Value],
    ) -> tuple[ir.Value, list[ir.Value]]:
        builder = self.builder
        # Two sums: one would wait for each of its products.
        sums = [bias, ir.Constant(INTEGERS, [0] * LANES)]
        moved = []
        number = 0
        for window, row in zip(held, x_now, strict=True):
            last = window
            for offset in offsets[self.kernel - self.pushed :]:
                last, window = window, self._push(window, builder.add(row, offset))
            for four in (last, window)[2 - self.fours :]:
                place = number % 2
                sums[place] = multiply_four(builder, self.form, sums[place], four, weights[number])
                number += 1
            moved.append(window)
        return builder.add(*sums), moved
