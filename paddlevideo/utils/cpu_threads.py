"""Threads for compiled kernels, beside those of Paddle's math library.

Paddle has no way to lend its threads or to say how many it uses, so the number is kept here, for
the process, by `paddlevideo.modeling.device.setup_device`, which tells Paddle the same.
"""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


def available_cores() -> int:
    """Cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1


class CpuThreads:
    """Share ranges of independent work out to a number of threads.

    The threads are started when first needed, and again in a forked process, which has none.
    """

    def __init__(self) -> None:
        self.count = available_cores()
        self._pool: ThreadPoolExecutor | None = None
        self._pool_of: tuple[int, int] = (0, 0)

    def share_out(self, count: int, work: Callable[[int, int], None]) -> None:
        """Call ``work(first, last)`` for ranges that make up 0 .. ``count``, side by side.

        Args:
            work: must release Python's lock, and write to its own range only.
        """
        parts = max(1, min(self.count, count))
        bounds = [count * part // parts for part in range(parts + 1)]
        futures = [
            self._executor().submit(work, first, last)
            for first, last in itertools.pairwise(bounds[1:])
        ]
        try:
            work(bounds[0], bounds[1])
        finally:
            _wait(futures)

    def _executor(self) -> ThreadPoolExecutor:
        owner = (os.getpid(), self.count)
        if self._pool is None or self._pool_of != owner:
            self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="kernel")
            self._pool_of = owner
        return self._pool


def _wait(futures: list[Future[None]]) -> None:
    """Wait for all, then pass on the first error: nobody may write after the caller goes on."""
    errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None:
            raise error


CPU_THREADS = CpuThreads()
