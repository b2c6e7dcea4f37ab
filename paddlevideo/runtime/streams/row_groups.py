"""`RowGroups`: rows of a pool that are stepped without the others."""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import groupby

import numpy as np

from paddlevideo.runtime.engines.base import StreamRows
from paddlevideo.runtime.streams.frame_counters import check_counters


class RowGroups:
    """The rows of a batch in groups that go on together.

    A row without a frame costs nothing. Each row's states have a place of their own, where they
    stay; a step writes the newest beside them. Rows with a frame that lie side by side and have had
    as many steps (their *turn*) are one group, for which the weights are read once. Rows that have
    a frame together twice in succession are brought side by side: those that lie elsewhere change
    places with others, those of another turn are laid out anew, and nobody else is touched. So
    streams of one frame rate end as one group, a lone one is as quick as a session, and the memory
    is that of the places, whatever happens.

    Args:
        states: of all rows, at turn 0; they are not to be used by others any more.
        num_rows: that it has.
        counted: frames that a row has had, at most.
    """

    def __init__(self, states: StreamRows, num_rows: int, counted: int = 0) -> None:
        self._states = states
        self._rows = list(range(num_rows))  # by place
        self._turns = [0] * num_rows  # the same
        self._counted = [counted] * num_rows  # by row
        self._last: set[int] = set()  # rows of the last step

    def step(
        self, rows: Sequence[int], frames: Sequence[np.ndarray], anew: Collection[int]
    ) -> np.ndarray:
        """Let rows see a frame each, all others stay as they are; logits [len(rows), N] in order.

        If the engine fails, all stay as they were, but for those that were to begin anew.

        Args:
            frames: [3, H, W], of each of ``rows``.
            anew: rows that begin from nothing with this frame.
        """
        frame_of = dict(zip(rows, frames, strict=True))
        wanted = set(frame_of)
        check_counters(max((self._counted[row] for row in wanted - set(anew)), default=0))
        self._begin(wanted, anew)
        groups = self._groups(wanted)
        if len(groups) > 1 and wanted == self._last:
            self._bring_together(wanted)
            groups = self._groups(wanted)
        logits: dict[int, np.ndarray] = {}
        for places in groups:
            first, last = places[0], places[-1] + 1
            members = self._rows[first:last]
            seen = [frame_of[row] for row in members]
            found = self._states.step(first, last, self._turns[first], seen)
            logits.update(zip(members, found, strict=True))
        for place, row in enumerate(self._rows):  # only now: a step that fails has changed nothing
            if row in wanted:
                self._turns[place] += 1
                self._counted[row] += 1
        self._last = wanted
        return np.stack([logits[row] for row in rows])

    def _begin(self, wanted: Collection[int], anew: Collection[int]) -> None:
        """Let rows begin from nothing, at the turn that most of the others have."""
        if not anew:
            return
        others = [t for row, t in zip(self._rows, self._turns, strict=True)
                  if row in wanted and row not in anew]  # fmt: skip
        turn = _most_common(others) if others else 0
        for place, row in enumerate(self._rows):
            if row in anew:
                self._states.clear(place)
                self._turns[place], self._counted[row] = turn, 0

    def _groups(self, wanted: Collection[int]) -> list[list[int]]:
        """Places of the rows with frames: those side by side with the same turn together."""

        def kind(place: int) -> tuple[bool, int]:
            return self._rows[place] in wanted, self._turns[place]

        runs = [(kind, list(run)) for kind, run in groupby(range(len(self._rows)), kind)]
        return [places for (is_wanted, _), places in runs if is_wanted]

    def _bring_together(self, wanted: Collection[int]) -> None:
        """Let rows be one group; as few as can be change their places."""
        count, rows = len(wanted), self._rows
        places = [place for place, row in enumerate(rows) if row in wanted]
        starts = range(len(rows) - count + 1)
        first = max(starts, key=lambda start: sum(start <= p < start + count for p in places))
        window = range(first, first + count)
        outside = [place for place in places if place not in window]
        holes = [place for place in window if rows[place] not in wanted]
        for place, hole in zip(outside, holes, strict=True):
            self._states.swap(place, hole)
            for of_place in (rows, self._turns):
                of_place[place], of_place[hole] = of_place[hole], of_place[place]
        turn = _most_common([self._turns[place] for place in window])
        for place in window:
            if self._turns[place] != turn:
                self._states.change_turn(place, self._turns[place], turn)
                self._turns[place] = turn


def _most_common(turns: Sequence[int]) -> int:
    return Counter(turns).most_common(1)[0][0]
