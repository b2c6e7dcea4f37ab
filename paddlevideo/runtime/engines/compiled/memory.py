"""Memory for weights and maps in large pages.

A step reads megabytes of weights once. In pages of 4 KiB the processor would look up thousands of
addresses for them; Linux gives pages of 2 MiB where it is asked for them.
"""

import mmap
import threading

import numpy as np

_LARGE_PAGE = 2 << 20
_LINE_FLOATS = 16  # a cache line
_FLOAT_BYTES = 4


class FloatPool:
    """Gives out arrays of zeros from large blocks; they live as long as anybody holds them.

    Several threads may ask for them.
    """

    def __init__(self, block_bytes: int = 2 * _LARGE_PAGE) -> None:
        self._block_bytes = block_bytes
        self._block: np.ndarray = np.zeros(0, np.float32)
        self._used = 0
        self._lock = threading.Lock()

    def zeros(self, count: int) -> np.ndarray:
        """An array of ``count`` floats that begins with a cache line."""
        with self._lock:
            if self._used + count > self._block.size:
                self._block = new_block(max(self._block_bytes, count * _FLOAT_BYTES))
                self._used = 0
            start = self._used
            self._used += -(-count // _LINE_FLOATS) * _LINE_FLOATS
            return self._block[start : start + count]


def new_block(size: int) -> np.ndarray:
    """Zeros of at least so many bytes, in large pages where there are some."""
    size = -(-size // _LARGE_PAGE) * _LARGE_PAGE
    if not hasattr(mmap, "MAP_PRIVATE"):  # Windows
        return np.zeros(size // _FLOAT_BYTES, np.float32)
    # Private: memory that may be shared with another process has small pages.
    block = mmap.mmap(-1, size + _LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        block.madvise(mmap.MADV_HUGEPAGE)
    floats = np.frombuffer(block, np.float32)
    skipped = -floats.ctypes.data % _LARGE_PAGE // _FLOAT_BYTES
    return floats[skipped : skipped + size // _FLOAT_BYTES]
