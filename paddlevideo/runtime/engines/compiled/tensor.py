"""`CompiledTensor`: a tensor as the compiled engine keeps it."""

import math

import numpy as np

from paddlevideo.runtime.engines.compiled.tensor_memory import Memory
from paddlevideo.utils.eight_bits import Range, steps_of, values_of

_FLOAT_BYTES = 4


class CompiledTensor:
    """A tensor as the engine keeps it: channels side by side, in memory that is used again.

    Attributes:
        shape: [B, C, H, W] or [B, N].
        dtype: of the array that it was made of, or stands for.
    """

    __slots__ = ("_free", "_laid_out", "_memory", "_range", "_source", "dtype", "shape")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype,
        source: np.ndarray | None = None,
        memory: Memory | None = None,
        free: list[Memory] | None = None,
        range_: Range | None = None,
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._source, self._memory, self._free = source, memory, free
        self._range = range_  # of what the memory holds
        self._laid_out: dict[Range | None, Memory] | None = None

    def __del__(self) -> None:
        if self._free is not None and self._memory is not None:
            self._free.append(self._memory)

    def picture(self) -> np.ndarray:
        """The array itself: a frame is read as it is. It lives as long as the tensor."""
        if self._source is None:
            self._source = self.numpy()
        return self._source

    def address(self, slack: int, range_: Range | None) -> int:
        """Where [B, H, W, C] lies in a row, with ``slack`` floats after it.

        Args:
            range_: as bytes that stand for these steps; None: as it is.
        """
        if self._memory is not None and self._range == range_:
            return self._memory.address
        if self._laid_out is None:
            self._laid_out = {}
        if range_ not in self._laid_out:
            self._laid_out[range_] = Memory(laid_out(self.picture(), slack, range_))
        return self._laid_out[range_].address

    def numpy(self) -> np.ndarray:
        """A copy as the program's tensor has it."""
        if self._source is not None:
            return np.array(self._source)
        if self._memory is None:
            raise ValueError("a tensor without memory")
        size = math.prod(self.shape)
        if self._range is None:
            flat = self._memory.floats[:size].view(self.dtype)
        else:
            flat = values_of(self._memory.floats.view(np.uint8)[:size], self._range)
        if len(self.shape) != 4:
            return flat.reshape(self.shape).copy()
        streams, channels, rows, columns = self.shape
        return flat.reshape(streams, rows, columns, channels).transpose(0, 3, 1, 2).copy()


def laid_out(array: np.ndarray, slack: int, range_: Range | None) -> np.ndarray:
    """A copy with channels side by side, and ``slack`` numbers of 4 bytes after it.

    Args:
        array: of numbers of 4 bytes.
        range_: what to round to; None: nothing is rounded.
    """
    ordered = array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
    dtype = array.dtype if range_ is None else np.float32
    memory: np.ndarray = np.zeros(floats_of(array.size, range_) + slack, dtype)
    if range_ is None:
        memory[: array.size] = ordered.reshape(-1)
    else:
        memory.view(np.uint8)[: array.size] = steps_of(ordered, range_).reshape(-1)
    return memory


def floats_of(count: int, range_: Range | None) -> int:
    """Floats in whose memory so many numbers lie, as bytes where they have a range."""
    return count if range_ is None else -(-count // _FLOAT_BYTES)
