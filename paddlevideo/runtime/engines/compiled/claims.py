"""Threads that go through one table side by side: who computes what, and when a stage is done.

A stage (`stages.py`) is computed in shares. A thread claims one before it computes it, its own
first and then those that nobody has claimed. So nobody waits for a thread that has not come, and
one that comes late, or not at all, is no fault. At the end of a stage all wait for what others have
claimed: they spin for some microseconds, then let other threads of the machine have the core.

The state of a stage is one integer in a cache line of its own: claimed shares as bits, and above
them the number of finished ones. Whether a share is computed here or there does not change a bit
of the result.
"""

import ctypes
import os
import platform
from functools import cache

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.access import compiled
from paddlevideo.runtime.engines.compiled.simd import INT64, LINE_BYTES, Typed, operation

_MOST_SHARES = 32
WORDS = LINE_BYTES // 8
"""Integers of a stage's state: only the first is used."""
_FINISHED = 1 << _MOST_SHARES
_SPINS = 1000  # some tens of microseconds
_I = types.intp

# What tells the processor that a loop waits.
_PAUSES: dict[str, tuple[str, tuple[int, ...]]] = {
    "x86_64": ("llvm.x86.sse2.pause", ()),
    "AMD64": ("llvm.x86.sse2.pause", ()),
    "aarch64": ("llvm.aarch64.hint", (1,)),
    "arm64": ("llvm.aarch64.hint", (1,)),
}


@cache
def yield_address() -> int:
    """Of the system's function that lets other threads have the core; 0 where there is none."""
    try:
        if os.name == "nt":
            function = ctypes.CDLL("kernel32").SwitchToThread
        else:
            function = ctypes.CDLL(None).sched_yield
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _pointer(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.inttoptr(address, INT64.as_pointer())


@operation
def _set_bits(typing_context: object, address: object, bits: object) -> Typed:
    """Set bits of the integer at an address; gives what it was."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return builder.atomic_rmw("or", _pointer(builder, values[0]), values[1], "acq_rel")

    return _I(_I, _I), generate


@operation
def _add(typing_context: object, address: object, number: object) -> Typed:
    """Add to the integer at an address; gives what it was."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return builder.atomic_rmw("add", _pointer(builder, values[0]), values[1], "acq_rel")

    return _I(_I, _I), generate


@operation
def _read(typing_context: object, address: object) -> Typed:
    """The integer at an address, and with it all that was written before it."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return builder.load_atomic(_pointer(builder, values[0]), "acquire", 8)

    return _I(_I), generate


@operation
def _pause(typing_context: object) -> Typed:
    """Tell the processor that this thread waits."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        name, numbers = _PAUSES.get(platform.machine(), ("", ()))
        if name:
            given = [ir.Constant(ir.IntType(32), number) for number in numbers]
            kind = ir.FunctionType(ir.VoidType(), [number.type for number in given])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)
        return context.get_dummy_value()

    return types.void(), generate


@operation
def _call(typing_context: object, address: object) -> Typed:
    """Call the function at an address, which takes nothing and gives an integer."""

    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(_I), generate


@compiled
def claim(state: int, share: int) -> bool:
    """Whether the share of the stage with its state at ``state`` is the caller's to compute."""
    bit = 1 << share
    return _read(state) & bit == 0 and _set_bits(state, bit) & bit == 0


@compiled
def finish(state: int) -> None:
    """Say that a claimed share is computed."""
    _add(state, _FINISHED)


@compiled
def wait_for(state: int, shares: int, let_others: int) -> None:
    """Until all shares are computed; ``let_others`` is `yield_address`'s."""
    spins = 0
    while _read(state) // _FINISHED < shares:
        spins += 1
        if spins > _SPINS and let_others:
            _call(let_others)
        else:
            _pause()
