"""`TensorMemory`: what the results of runs are written to, used again and again."""

import bisect
import threading
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from paddlevideo.runtime.engines.compiled.memory import new_block

_BLOCK_BYTES = 4 << 20
_LINE_FLOATS = 16  # a cache line
_FLOAT_BYTES = 4


class Memory:
    """Floats in a row, and where they lie: asking an array for its address takes a microsecond."""

    __slots__ = ("address", "floats")

    def __init__(self, floats: np.ndarray) -> None:
        self.floats = floats
        self.address: int = floats.ctypes.data


@dataclass
class _Block:
    """Memory of the operating system; ``free`` are the (start, count) in it that nobody has."""

    floats: np.ndarray
    address: int
    free: list[tuple[int, int]] = field(default_factory=list)


class TensorMemory:
    """Gives out memory by its size; what is set free is given out again.

    It waits in a list for its size, where taking it costs nothing. Streams that come and go, or
    whose frames come at other moments, are stepped in groups of other sizes, and what waits for one
    size is of no use to the others. So before the system is asked for more, all that waits is
    joined with its neighbours and given out in other sizes: the whole stays about as large as what
    was in use at one time, however many frames there are.

    Threads may share it.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, list[Memory]] = defaultdict(list)
        self._blocks: list[_Block] = []  # by address
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """What the system was asked for."""
        return sum(block.floats.nbytes for block in self._blocks)

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
        """The first free part that is large enough; None if there is none."""
        needed = _in_lines(size)
        for block in self._blocks:
            for index, (start, count) in enumerate(block.free):
                if count < needed:
                    continue
                rest = [(start + needed, count - needed)] if count > needed else []
                block.free[index : index + 1] = rest
                return block.floats[start : start + size]
        return None

    def _join_free(self) -> None:
        """Take all that waits for its size back into the blocks."""
        addresses = [block.address for block in self._blocks]
        for waiting in list(self._waiting.values()):
            while True:
                try:
                    memory = waiting.pop()
                except IndexError:
                    break
                block = self._blocks[bisect.bisect_right(addresses, memory.address) - 1]
                start = (memory.address - block.address) // _FLOAT_BYTES
                block.free.append((start, _in_lines(memory.floats.size)))
        for block in self._blocks:
            block.free = _joined(block.free)

    def _add_block(self, size: int) -> None:
        floats = new_block(max(_BLOCK_BYTES, _in_lines(size) * _FLOAT_BYTES))
        block = _Block(floats, floats.ctypes.data, [(0, floats.size)])
        bisect.insort(self._blocks, block, key=lambda item: item.address)


def _in_lines(size: int) -> int:
    """Floats of whole cache lines."""
    return -(-size // _LINE_FLOATS) * _LINE_FLOATS


def _joined(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same parts in their order, neighbours as one."""
    joined: list[tuple[int, int]] = []
    for start, count in sorted(parts):
        if joined and sum(joined[-1]) == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + count)
        else:
            joined.append((start, count))
    return joined
