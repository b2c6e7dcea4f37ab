"""Time several ways of doing one thing in alternating blocks."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Times(NamedTuple):
    """Milliseconds a call."""

    median: float
    least: float


def in_turns(
    runs: Mapping[str, Callable[[], Any]],
    blocks: int,
    calls: int,
    dropped: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Times]:
    """Median and least of each: a block of calls of one, then a block of the next, and again.

    Within a block the caches are filled as they are in use; that the blocks alternate lets
    everything else that the machine does slow all of them alike.

    Args:
        blocks: of each run.
        calls: timed in a block.
        dropped: calls before them, which fill the caches again.
        clock: gives seconds.
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(blocks):
        for name, run in runs.items():
            for _ in range(dropped):
                run()
            for _ in range(calls):
                begun = clock()
                run()
                taken[name].append(1e3 * (clock() - begun))
    return {name: Times(statistics.median(each), min(each)) for name, each in taken.items()}
