"""Several threads on one stream: they go through one table and share its operations."""

import threading
from collections.abc import Callable

import numpy as np

from paddlevideo.runtime.engines.compiled.assembly import Assembly
from paddlevideo.runtime.engines.compiled.claims import WORDS, yield_address
from paddlevideo.runtime.engines.compiled.helpers import Helpers
from paddlevideo.runtime.engines.compiled.stages import ALONE


class Team:
    """Runs a program on the caller's thread and on others that join in.

    Several threads may call it. One that does while another's run is not over runs alone: all cores
    are busy then.

    Args:
        assembly: laid out for so many threads.
        run: `kernel_loader.compiled_loop`'s.
    """

    def __init__(self, assembly: Assembly, run: Callable[..., None]) -> None:
        self._assembly, self._run = assembly, run
        self._helpers = Helpers(assembly.parts - 1)
        self._let_others = yield_address()
        self._lock = threading.Lock()
        self._callers = 0

    def run(self, addresses: np.ndarray, streams: int) -> None:
        """Compute a group of streams.

        Args:
            addresses: of the first stream's maps, by slot. They may be changed afterwards.
        """
        with self._lock:
            self._callers += 1
            together = self._callers == 1
        try:
            if together:
                self._run_together(addresses, streams)
            else:
                self._part(addresses, streams, *ALONE)
        finally:
            with self._lock:
                self._callers -= 1

    def _run_together(self, addresses: np.ndarray, streams: int) -> None:
        """A helper that is late finds that all is claimed, and touches no map."""
        assembly = self._assembly
        states: np.ndarray = np.zeros(len(assembly.stages) * WORDS, np.int64)

        def work(part: int) -> None:
            self._part(
                addresses, streams, part, assembly.parts, assembly.stages, states, self._let_others
            )

        self._helpers.invite(work)
        work(0)

    def _part(self, addresses: np.ndarray, streams: int, *how: object) -> None:
        assembly = self._assembly
        self._run(
            assembly.table, assembly.later, assembly.lists, addresses, assembly.strides, streams,
            *how,
        )  # fmt: skip
