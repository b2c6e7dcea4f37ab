"""`RowGroups`: rows of a pool that are stepped without the others."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from paddlevideo.runtime.streams.session import ApartStepper


@dataclass(eq=False)
class _Group:
    """Rows whose states lie side by side in memory, so that they are stepped together.

    Attributes:
        rows: of the pool's batch, in the order in which the runner has them.
    """

    rows: list[int]
    runner: ApartStepper


class RowGroups:
    """The rows of a batch in groups that go on together.

    A row without a frame costs nothing: if only some rows of a group have one, the group is split.
    The parts see the states where they are, nothing is copied. Groups that have a frame together
    twice in succession are joined, which copies their states once: then their weights are read once
    for all of them. So streams of one frame rate end as one group, and a lone one is as quick as a
    session.

    Args:
        runner: of all rows; it is not to be stepped by others any more.
        num_rows: that it has.
    """

    def __init__(self, runner: ApartStepper, num_rows: int) -> None:
        self._groups = [_Group(list(range(num_rows)), runner)]
        self._last: list[_Group] = []  # those of the last step

    def step(
        self, rows: Sequence[int], frames: Sequence[np.ndarray], anew: Collection[int]
    ) -> np.ndarray:
        """Let rows see a frame each, all others stay as they are; logits [len(rows), N] in order.

        If the engine fails, all stay as they were.

        Args:
            frames: [3, H, W], of each of ``rows``.
            anew: rows that begin from nothing with this frame.
        """
        frame_of = dict(zip(rows, frames, strict=True))
        self._regroup(frame_of.keys(), sorted(anew))
        active = self._active(frame_of.keys())
        marks = [(group, group.runner.mark()) for group in active]
        logits: dict[int, np.ndarray] = {}
        try:
            for group in active:
                frames_BCHW = np.stack([frame_of[row] for row in group.rows])
                logits.update(zip(group.rows, group.runner.step(frames_BCHW), strict=True))
        except BaseException:
            for group, mark in marks:
                group.runner.rewind(mark)
            raise
        self._last = active
        return np.stack([logits[row] for row in rows])

    def _active(self, wanted: Collection[int]) -> list[_Group]:
        """The groups that have frames, as one if they had them the last time too."""
        active = [group for group in self._groups if group.rows[0] in wanted]
        if len(active) > 1 and active == self._last:
            first, *others = (group.runner for group in active)
            joined = _Group([row for group in active for row in group.rows], first.joined(others))
            self._groups = [group for group in self._groups if group not in active] + [joined]
            return [joined]
        return active

    def _regroup(self, wanted: Collection[int], anew: list[int]) -> None:
        """Split groups that have frames for some rows only; those that begin anew are one group."""
        fresh = [_Group(anew, self._groups[0].runner.fresh(len(anew)))] if anew else []
        if fresh and len(anew) == sum(len(group.rows) for group in self._groups):
            self._groups = fresh
            return
        kept = [part for group in self._groups for part in _parts(group, wanted, set(anew))]
        self._groups = kept + fresh


def _parts(group: _Group, wanted: Collection[int], anew: set[int]) -> Iterator[_Group]:
    """A group as it is, or its runs of rows with and without a frame; ``anew`` are left out."""

    def kind(position: int) -> int:
        row = group.rows[position]
        return 2 if row in anew else int(row in wanted)

    runs = [(k, list(run)) for k, run in groupby(range(len(group.rows)), kind)]
    for kind_of_run, positions in runs:
        if kind_of_run == 2:
            continue
        if len(runs) == 1:
            yield group
            return
        first, last = positions[0], positions[-1] + 1
        yield _Group(group.rows[first:last], group.runner.taken(first, last))
