"""The order in which the records of a table run: of a stage of a clip, again and again.

A table whose first record is `Code.FRAMES` is a *stage*: operations that work on frames each alone,
at most one kernel over time among those that follow each other. They run for a few frames, then
for the next ones, so that the maps between them stay in the cache. What a kernel over time reads
of the frames around goes ahead of it: the *lead*. What follows is the *trail*. The records of any
other table run once, in their order.

It is one walk and not a loop over loops, as numba would compile all kernels once more for each
function around them.
"""

import numpy as np

from paddlevideo.runtime.engines.compiled.access import Array, Row, compiled, integers_at
from paddlevideo.runtime.engines.compiled.table import Code, Way

# What a walk remembers: the record at hand, the end of those that run together, for how many rows;
# of a stage the frame from which on the trail, and that from which on the lead is still to run.
AT, ROWS = 0, 2
_END, _FRAME, _DONE = 1, 3, 4


@compiled
def _is_stage(table: Array) -> bool:
    return table.shape[0] > 0 and table[0].code == Code.FRAMES


@compiled
def begin_walk(table: Array, addresses: Array, streams: int) -> Array:
    """A walk through a table, before its first record.

    Args:
        streams: rows of a table that is no stage. Frames of a stage are those that the map ``b`` of
            its record says: their first and last.
    """
    walk: Array = np.zeros(5, np.int64)
    walk[AT] = -1
    if _is_stage(table):
        first = integers_at(addresses[table[0].b], 3)[1]
        walk[_FRAME], walk[_DONE] = first, max(first - table[0].top, 0)
    else:
        walk[_END], walk[ROWS] = table.shape[0], streams
    return walk


@compiled
def places_of(table: Array, addresses: Array) -> Array:
    """Where the maps of the rows at hand lie, to be kept so by `next_record`."""
    return addresses.copy() if _is_stage(table) else addresses


@compiled
def next_record(
    walk: Array, table: Array, lists: Array, addresses: Array, strides: Array, places: Array
) -> bool:
    """Go on to the next record; false behind the last.

    Args:
        addresses: of the first frame of each map.
        places: of the rows at hand.
    """
    walk[AT] += 1
    if walk[AT] < walk[_END]:
        return True
    return _is_stage(table) and _next_frames(walk, table, lists, addresses, strides, places)


@compiled
def _next_frames(
    walk: Array, table: Array, lists: Array, addresses: Array, strides: Array, places: Array
) -> bool:
    """Go on to the next frames of the lead, or where it is far enough ahead, of the trail.

    The lead is computed for frames around a thread's own too, which are another thread's: what it
    makes of these for later stages is put aside.
    """
    head = table[0]
    own = integers_at(addresses[head.b], 3)
    first, last = own[1], own[2]
    while walk[_FRAME] < last:
        frame, done = walk[_FRAME], walk[_DONE]
        end = _end_of_part(head, frame, last)
        needed = min(end + head.bottom, head.count)
        if head.depth > 0 and done < needed:
            stop = _end_of_part(head, done, needed)
            if done < first:
                stop = min(stop, first)
            elif done < last:
                stop = min(stop, last)
            _place(head, lists, addresses, strides, done, first <= done < last, places)
            walk[AT], walk[_END], walk[ROWS] = 1, 1 + head.depth, stop - done
            walk[_DONE] = stop
            return True
        walk[_FRAME] = end
        if 1 + head.depth < table.shape[0]:
            _place(head, lists, addresses, strides, frame, True, places)
            walk[AT], walk[_END], walk[ROWS] = 1 + head.depth, table.shape[0], end - frame
            return True
    return False


@compiled
def _end_of_part(head: Row, frame: int, last: int) -> int:
    """The frames from ``frame`` on that may run together lie one behind the other in every map."""
    return min(frame + head.size_a, frame - frame % head.size_b + head.size_b, last)


@compiled
def _place(
    head: Row,
    lists: Array,
    addresses: Array,
    strides: Array,
    frame: int,
    is_own: bool,
    places: Array,
) -> None:
    """Let ``places`` be those of a frame's maps, and say which frame it is."""
    for index in range(head.list_start, head.list_start + 3 * head.list_size, 3):
        slot, way, spare = lists[index], lists[index + 1], lists[index + 2]
        if way == Way.RING:
            places[slot] = addresses[slot] + frame % head.size_b * strides[slot]
        elif way == Way.OWN and not is_own:
            places[slot] = addresses[spare]
        else:
            places[slot] = addresses[slot] + frame * strides[slot]
    integers_at(addresses[head.b], 1)[0] = frame
