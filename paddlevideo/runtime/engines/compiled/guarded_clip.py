"""The stages of a clip with guards round every ring, held against its operations one by one.

`checked` runs an operation for all frames, so every map holds the whole clip. Here the clip runs as
it does without checks: frames shared out, a few at a time, in rings, and the frames around a
thread's own. Each map lies between guards and holds at first what is no number, for every share
anew; so what is read from a frame that is not there yet, or not any more, shows in the result.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from paddlevideo.runtime.engines.compiled.access import SLACK
from paddlevideo.runtime.engines.compiled.clip_assembly import ClipAssembly, assemble_clip
from paddlevideo.runtime.engines.compiled.clip_run import ClipRun
from paddlevideo.runtime.engines.compiled.layout import Pool
from paddlevideo.runtime.engines.compiled.operations import CompiledProgram
from paddlevideo.runtime.engines.compiled.simd import FLOAT_BYTES

_SHARES = 3  # of the frames: with borders before and behind one


@dataclass
class _GuardedMemory:
    """In place of the memory of an assembly: each map in a block of its own."""

    assembly: ClipAssembly
    pool: Pool
    own: list[np.ndarray] = field(default_factory=list)
    whole: dict[int, np.ndarray] = field(default_factory=dict)

    def memory_of_clip(self) -> tuple[np.ndarray, np.ndarray]:
        """As `ClipAssembly.memory_of_clip`."""
        base = self.assembly.base
        addresses = base.fixed.copy()
        self.whole = {item.slot: self.block(item.size) for item in base.maps}
        for slot, block in self.whole.items():
            addresses[slot] = block.ctypes.data
        return np.zeros(0, np.float32), addresses

    def memory_of_thread(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `ClipAssembly.memory_of_thread`; the memory is that of the clock."""
        self.own = [self.block(item.size) for item in self.assembly.own]
        slots = [item.slot for item in self.assembly.own]
        places: np.ndarray = np.array([block.ctypes.data for block in self.own], np.int64)
        return self.own[slots.index(self.assembly.clock)], np.array(slots, np.int64), places

    def forget_own(self) -> None:
        """Fill a thread's maps with what is no number."""
        for block in self.own:
            block[:] = np.nan

    def block(self, size: int) -> np.ndarray:
        """Memory of so many bytes, with what may be overwritten behind it."""
        block = self.pool.zeros((size + SLACK + FLOAT_BYTES - 1) // FLOAT_BYTES)
        block[:] = np.nan
        return block


class _InTurn:
    """Shares of the frames, one after the other in place of side by side."""

    def __init__(self, memory: _GuardedMemory) -> None:
        self._memory = memory

    def share_out(self, count: int, work: Callable[[int, int], None]) -> None:
        """As `CpuThreads.share_out`, the last share first."""
        parts = max(1, min(_SHARES, count))
        bounds = [count * part // parts for part in range(parts + 1)]
        for first, last in reversed(list(itertools.pairwise(bounds))):
            self._memory.forget_own()
            work(first, last)


class GuardedClip:
    """Runs a clip in stages, between guards.

    Args:
        pool: gives the guarded memory.
        run: `kernel_loader.compiled_loop`'s.
        product: see `assembly.assemble`.
    """

    def __init__(
        self, program: CompiledProgram, pool: Pool, run: Callable[..., None], product: int
    ) -> None:
        self._assembly = assemble_clip(program, pool, product=product)
        self._memory = _GuardedMemory(self._assembly, pool)
        self._run = ClipRun(self._assembly, run, _InTurn(self._memory), self._memory)
        self._outside: dict[str, np.ndarray] = {}  # inputs and outputs

    def outputs(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The bytes of each output.

        Args:
            inputs: their bytes, by name.
        """
        base = self._assembly.base
        names = [*base.inputs, *base.outputs]
        slots = [*base.inputs.values(), *base.outputs.values()]
        blocks: dict[str, np.ndarray] = {}
        for name, slot in zip(names, slots, strict=True):
            size = int(base.strides[slot]) * base.rows_of(slot)
            if name not in self._outside:
                self._outside[name] = self._memory.block(size)
            self._outside[name][:] = np.nan
            blocks[name] = self._outside[name].view(np.uint8)[:size]
        for name, given in inputs.items():
            blocks[name][:] = given
        places = [block.ctypes.data for block in blocks.values()]
        self._run.run(np.array(slots, np.int64), np.array(places, np.int64))
        return {name: blocks[name] for name in base.outputs}
