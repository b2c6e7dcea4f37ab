"""`TensorMemory`: what the results of runs are written to, used again and again."""

import bisect
import threading
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from paddlevideo.runtime.engines.compiled.memory import new_block

_BLOCK_BYTES = 4 << 20
_LINE_FLOATS = 16  # a cache line
_FLOAT_BYTES = 4

_Part = tuple[int, int]
"""Floats that nobody has: how many, and their address."""


class Memory:
    """Floats in a row, and where they lie: asking an array for its address takes a microsecond."""

    __slots__ = ("address", "floats")

    def __init__(self, floats: np.ndarray) -> None:
        self.floats = floats
        self.address: int = floats.ctypes.data


class TensorMemory:
    """Gives out memory by its size; what is set free is given out again.

    It waits in a list for its size, where taking it costs nothing. Batches of other numbers of
    clips or streams have other sizes, and what waits for one is of no use to the others. So before
    the system is asked for more, all that waits is joined with its neighbours and given out in
    other sizes: the whole stays about as large as what was in use at one time. Where sizes and ages
    mix for long, it falls into pieces; the states of a pool's streams are elsewhere (`StreamRows`).

    Threads may share it.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, list[Memory]] = defaultdict(list)
        self._free: list[_Part] = []  # what waits for no size; the smallest first
        self._blocks: list[np.ndarray] = []
        self._starts: list[int] = []  # their addresses, in order
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """What the system was asked for."""
        return sum(block.nbytes for block in self._blocks)

    def take(self, size: int) -> tuple[Memory, list[Memory]]:
        """So many floats, of any values, that begin with a cache line.

        Returns:
            The memory, and the list to append it to when nobody uses it any more.
        """
        waiting = self._waiting[size]
        try:  # another thread may take the last one
            return waiting.pop(), waiting
        except IndexError:
            pass
        with self._lock:
            floats = self._cut(size)
            if floats is None:
                self._join_free()
                floats = self._cut(size)
            if floats is None:
                self._add_block(size)
                floats = self._cut(size)
        if floats is None:
            raise MemoryError(f"no memory for {size} floats")
        return Memory(floats), waiting

    def _cut(self, size: int) -> np.ndarray | None:
        """The smallest free part that is large enough; None if there is none."""
        needed = _in_lines(size)
        index = bisect.bisect_left(self._free, (needed, 0))
        if index == len(self._free):
            return None
        count, address = self._free.pop(index)
        if count > needed:
            bisect.insort(self._free, (count - needed, address + needed * _FLOAT_BYTES))
        number = bisect.bisect_right(self._starts, address) - 1
        first = (address - self._starts[number]) // _FLOAT_BYTES
        return self._blocks[number][first : first + size]

    def _join_free(self) -> None:
        """Take all that waits for its size back, and join neighbours."""
        parts = self._free
        for waiting in list(self._waiting.values()):
            while True:
                try:
                    memory = waiting.pop()
                except IndexError:
                    break
                parts.append((_in_lines(memory.floats.size), memory.address))
        self._free = sorted(_joined(parts, set(self._starts)))

    def _add_block(self, size: int) -> None:
        block = new_block(max(_BLOCK_BYTES, _in_lines(size) * _FLOAT_BYTES))
        address = block.ctypes.data
        number = bisect.bisect(self._starts, address)
        self._blocks.insert(number, block)
        self._starts.insert(number, address)
        bisect.insort(self._free, (block.size, address))


def _in_lines(size: int) -> int:
    """Floats of whole cache lines."""
    return -(-size // _LINE_FLOATS) * _LINE_FLOATS


def _joined(parts: Iterable[_Part], starts: set[int]) -> list[_Part]:
    """The same parts, neighbours of one block as one.

    Args:
        starts: addresses of blocks; what lies before one is of another block.
    """
    joined: list[_Part] = []
    end = None
    for count, address in sorted(parts, key=lambda part: part[1]):
        if address == end and address not in starts:
            before, first = joined.pop()
            joined.append((before + count, first))
        else:
            joined.append((count, address))
        end = address + count * _FLOAT_BYTES
    return joined
