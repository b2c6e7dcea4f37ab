"""How compiled operations see maps in memory.

A map is [streams, rows, columns, channels]: the channels of a pixel lie side by side, so that one
vector holds several of them and every operation but the mean runs along the memory. Addresses are
integers; after each map lie `SLACK` bytes that may be read and overwritten, since the last vector
of a map with few channels reaches beyond it.

Where channels are no multiple of a vector, the last vector begins earlier and some channels are
computed twice. Maps of fewer channels than a vector are written pixel by pixel in rising order, so
that what reaches into the next pixel is overwritten by it.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.core.base import BaseContext as Target

from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    LANES,
    LINE_BYTES,
    VECTOR_BYTES,
    Typed,
    operation,
    vload,
    vsplat,
    vstore,
)

SLACK = 2 * VECTOR_BYTES
# Arguments of compiled functions: for each plain number numba would compile a version of its own.
NONE, ONE = np.int64(0), np.int64(1)
Array = Any  # typed where it is compiled
Row = Any  # of the table of operations; the same
# Not kept on the disk one by one: numba would not see that what they call has changed.
compiled = njit(nogil=True)


@operation
def _pointer(typing_context: object, address: object) -> Typed:
    def generate(context: Target, builder: ir.IRBuilder, _: object, values: list) -> ir.Value:
        return builder.inttoptr(values[0], cgutils.voidptr_t)

    return types.voidptr(types.intp), generate


@compiled
def floats_at(address: int, count: int) -> Array:
    """The memory at an address as an array."""
    return carray(_pointer(address), (count,), np.float32)


@compiled
def integers_at(address: int, count: int) -> Array:
    """The memory at an address as an array of 32-bit integers."""
    return carray(_pointer(address), (count,), np.int32)


@compiled
def bytes_at(address: int, count: int) -> Array:
    """The memory at an address as an array of bytes."""
    return carray(_pointer(address), (count,), np.uint8)


@compiled
def halves_at(address: int, count: int) -> Array:
    """The memory at an address as an array of 16-bit integers."""
    return carray(_pointer(address), (count,), np.uint16)


@compiled
def words_at(address: int, count: int) -> Array:
    """The memory at an address as an array of 64-bit integers."""
    return carray(_pointer(address), (count,), np.int64)


@compiled
def copy_floats(target: int, source: int, count: int) -> None:
    """Copy ``count`` floats; fewer than a vector are copied with what follows them."""
    size = count * FLOAT_BYTES
    offset = 0
    while offset + VECTOR_BYTES <= size:
        vstore(target + offset, vload(source + offset))
        offset += VECTOR_BYTES
    if offset < size:
        if size >= VECTOR_BYTES:
            offset = size - VECTOR_BYTES
        vstore(target + offset, vload(source + offset))


@compiled
def clear_floats(target: int, count: int) -> None:
    """Write ``count`` zeros."""
    floats = floats_at(target, count)
    floats[:] = np.float32(0)


@compiled
def fill_bytes(target: int, count: int, value: int) -> None:
    """Write ``count`` equal bytes."""
    cells = bytes_at(target, count)
    for index in range(count):
        cells[index] = value


@compiled
def copy_bytes(target: int, source: int, count: int) -> None:
    """Copy ``count`` bytes, and read and write no others.

    By vectors: numba copies one byte after the other where arrays are assigned.
    """
    if count < VECTOR_BYTES:
        given, cells = bytes_at(source, count), bytes_at(target, count)
        for index in range(count):
            cells[index] = given[index]
        return
    last = count - VECTOR_BYTES
    for at in range(0, last, VECTOR_BYTES):
        vstore(target + at, vload(source + at))
    vstore(target + last, vload(source + last))


@compiled
def frame_at(row: Row, addresses: Array, strides: Array, stream: int) -> int:
    """Where a stream's frame lies: where a list says so, if there is one."""
    if row.frames >= 0 and addresses[row.frames] != 0:
        listed: Array = words_at(addresses[row.frames], stream + 1)
        return listed[stream]
    return addresses[row.a] + stream * strides[row.a]


@compiled
def activation_at(address: int) -> Any:
    alpha, beta, low, high, multiply = floats_at(address, 5)
    return vsplat(alpha), vsplat(beta), vsplat(low), vsplat(high), int(multiply)


@compiled
def vectors_of(channels: int) -> int:
    return (channels + LANES - 1) // LANES


@compiled
def first_channel_of(vector: int, channels: int) -> int:
    """First channel of a vector: the last one begins earlier where it would not fit."""
    return max(min(vector * LANES, channels - LANES), 0)


@compiled
def padded_pixel(channels: int) -> int:
    """Bytes of a pixel whose channels begin with a cache line each time."""
    return (channels * FLOAT_BYTES + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES


@compiled
def padded_bytes(channels: int) -> int:
    """Bytes of a pixel on 8 bits whose channels begin with a cache line each time."""
    return (channels + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES
