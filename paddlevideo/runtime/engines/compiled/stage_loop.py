"""Run the operations of a clip for some of its frames, a few at a time.

A table whose first record is `Code.FRAMES` is a *stage*: operations that work on frames each alone,
at most one kernel over time among those that follow each other. They run for a few frames, then
for the next ones, so that the maps between them stay in the cache. What a kernel over time reads
of the frames around goes ahead of it: the *lead*. What follows is the *trail*.
"""

from collections.abc import Callable

from numba import njit

from paddlevideo.runtime.engines.compiled.access import Array, Row, compiled, integers_at
from paddlevideo.runtime.engines.compiled.interpreter import rows_loop
from paddlevideo.runtime.engines.compiled.kernel_files import source_digest
from paddlevideo.runtime.engines.compiled.table import Code, Way


@compiled
def _end_of_part(head: Row, frame: int, last: int) -> int:
    """The frames from ``frame`` on that may run together lie one behind the other in every map."""
    return min(frame + head.size_a, frame - frame % head.size_b + head.size_b, last)


@compiled
def _place(
    head: Row, lists: Array, addresses: Array, strides: Array, frame: int, is_own: bool, now: Array
) -> None:
    """Let ``now`` be the addresses of a frame's maps, and say which frame it is."""
    for index in range(head.list_start, head.list_start + 3 * head.list_size, 3):
        slot, way, spare = lists[index], lists[index + 1], lists[index + 2]
        if way == Way.RING:
            now[slot] = addresses[slot] + frame % head.size_b * strides[slot]
        elif way == Way.OWN and not is_own:
            now[slot] = addresses[spare]
        else:
            now[slot] = addresses[slot] + frame * strides[slot]
    integers_at(addresses[head.b], 1)[0] = frame


@njit(nogil=True)
def run_stage(
    table: Array,
    later: Array,
    lists: Array,
    addresses: Array,
    strides: Array,
    stages: Array,
    states: Array,
) -> None:
    """Run a stage for the frames that the map ``b`` of its record says: their first and last.

    The lead is computed for frames around them too, which are another thread's: what it makes of
    these for later stages is put aside. ``stages`` and ``states`` are empty: threads share frames.
    """
    head = table[0]
    lead, trail = table[1 : 1 + head.depth], table[1 + head.depth :]
    own = integers_at(addresses[head.b], 3)
    first, last = own[1], own[2]
    now = addresses.copy()
    done, frame = max(first - head.top, 0), first
    while frame < last:
        end = _end_of_part(head, frame, last)
        needed = min(end + head.bottom, head.count)
        while done < needed:
            is_own = first <= done < last
            stop = _end_of_part(head, done, needed)
            if done < first:
                stop = min(stop, first)
            elif done < last:
                stop = min(stop, last)
            _place(head, lists, addresses, strides, done, is_own, now)
            rows_loop(lead, later, lists, now, strides, stop - done, 0, 1, stages, states, 0)
            done = stop
        if trail.shape[0] > 0:
            _place(head, lists, addresses, strides, frame, True, now)
            rows_loop(trail, later, lists, now, strides, end - frame, 0, 1, stages, states, 0)
        frame = end


def _make(version: str) -> Callable[..., None]:
    """The loop, not yet compiled; ``version`` makes numba tell one from another."""

    def run(
        table: Array, later: Array, lists: Array, addresses: Array, strides: Array, streams: int,
        part: int, parts: int, stages: Array, states: Array, let_others: int,
    ) -> None:  # fmt: skip
        """Run a program for each stream, alone or with other threads; or a stage of a clip."""
        if not version:
            return
        if table.shape[0] > 0 and table[0].code == Code.FRAMES:
            run_stage(table, later, lists, addresses, strides, stages, states)
        else:
            rows_loop(
                table, later, lists, addresses, strides, streams, part, parts, stages, states,
                let_others,
            )  # fmt: skip

    return run


program_loop = _make(source_digest())
"""What `kernel_loader` compiles."""
