"""Run the stages of a clip on several threads."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np

from paddlevideo.runtime.engines.compiled.clip_assembly import ClipAssembly, ClipStage
from paddlevideo.runtime.engines.compiled.stages import ALONE

_FIRST, _LAST = 1, 2  # of the integers of a thread's clock


class ClipMemory(Protocol):
    """Gives memory for maps: an assembly, or what puts guards round each."""

    def memory_of_clip(self) -> tuple[np.ndarray, np.ndarray]:
        """As `ClipAssembly`."""
        ...

    def memory_of_thread(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `ClipAssembly`; the clock lies in the memory."""
        ...


class Shares(Protocol):
    """Shares frames out."""

    def share_out(self, count: int, work: Callable[[int, int], None]) -> None:
        """As `CpuThreads`."""
        ...


class _OwnMaps:
    """The maps of one thread."""

    def __init__(self, memory: ClipMemory, clock: int) -> None:
        self.memory, self.slots, self.places = memory.memory_of_thread()
        address = int(self.places[list(self.slots).index(clock)])
        start = (address - self.memory.ctypes.data) // 4
        self.clock: np.ndarray = self.memory[start : start + 3].view(np.int32)


class ClipRun:
    """Computes clips one by one, the frames of each shared out to threads.

    Several threads may use it at the same time.

    Args:
        run: `kernel_loader.compiled_loop`'s.
        threads: that share the frames.
        memory: of the maps; by default the assembly's.
    """

    def __init__(
        self,
        assembly: ClipAssembly,
        run: Callable[..., None],
        threads: Shares,
        memory: ClipMemory | None = None,
    ) -> None:
        self._assembly, self._run, self._threads = assembly, run, threads
        self._memory = memory or assembly
        self._local = threading.local()

    def run(self, slots: np.ndarray, places: np.ndarray) -> None:
        """Compute one clip.

        Args:
            slots, places: of its inputs and outputs, and their addresses.
        """
        addresses = self._addresses_of_clip()
        addresses[slots] = places
        for stage in self._assembly.stages:
            if stage.streams is None:
                work = partial(self._run_frames, stage, addresses)
                self._threads.share_out(self._assembly.frames, work)
            else:
                self._run_records(stage.table, addresses, stage.streams)

    def _run_frames(self, stage: ClipStage, addresses: np.ndarray, first: int, last: int) -> None:
        """A stage for the frames ``first`` to ``last``, on this thread."""
        own = self._own_maps()
        own.clock[_FIRST], own.clock[_LAST] = first, last
        addresses = addresses.copy()
        addresses[own.slots] = own.places
        self._run_records(stage.table, addresses, 1)

    def _run_records(self, table: np.ndarray, addresses: np.ndarray, streams: int) -> None:
        base = self._assembly.base
        self._run(table, base.later, base.lists, addresses, base.strides, streams, *ALONE)

    def _addresses_of_clip(self) -> np.ndarray:
        """Where the maps of all frames lie, and those of this thread: it runs whole stages too."""
        kept = self._local.__dict__
        if "clip" not in kept:
            memory, addresses = self._memory.memory_of_clip()
            own = self._own_maps()
            addresses[own.slots] = own.places
            kept["clip"] = (memory, addresses)
        addresses_of_clip: np.ndarray = kept["clip"][1]
        return addresses_of_clip

    def _own_maps(self) -> _OwnMaps:
        kept = self._local.__dict__
        if "own" not in kept:
            kept["own"] = _OwnMaps(self._memory, self._assembly.clock)
        own: _OwnMaps = kept["own"]
        return own
