"""`CompiledTensor`: a tensor as the compiled engine keeps it."""

import math

import numpy as np

from paddlevideo.runtime.engines.compiled.tensor_memory import Memory


class CompiledTensor:
    """A tensor as the engine keeps it: channels side by side, in memory that is used again.

    Attributes:
        shape: [B, C, H, W] or [B, N].
        dtype: of the array that it was made of, or stands for.
    """

    __slots__ = ("_free", "_memory", "_source", "dtype", "shape")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype,
        source: np.ndarray | None = None,
        memory: Memory | None = None,
        free: list[Memory] | None = None,
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._source, self._memory, self._free = source, memory, free

    def __del__(self) -> None:
        if self._free is not None and self._memory is not None:
            self._free.append(self._memory)

    def picture(self) -> np.ndarray:
        """The array itself: a frame is read as it is. It lives as long as the tensor."""
        if self._source is None:
            self._source = self.numpy()
        return self._source

    def address(self, slack: int) -> int:
        """Where [B, H, W, C] lies in a row, with ``slack`` floats after it."""
        if self._memory is None:
            source = self.picture()
            ordered = source.transpose(0, 2, 3, 1) if source.ndim == 4 else source
            floats = np.zeros(source.size + slack, self.dtype)
            floats[: source.size] = ordered.reshape(-1)
            self._memory = Memory(floats)
        return self._memory.address

    def numpy(self) -> np.ndarray:
        """A copy as the program's tensor has it."""
        if self._source is not None:
            return np.array(self._source)
        if self._memory is None:
            raise ValueError("a tensor without memory")
        flat = self._memory.floats[: math.prod(self.shape)].view(self.dtype)
        if len(self.shape) != 4:
            return flat.reshape(self.shape).copy()
        streams, channels, rows, columns = self.shape
        return flat.reshape(streams, rows, columns, channels).transpose(0, 3, 1, 2).copy()
