"""`PoolBatch`: the streams of a pool that one runner steps together."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paddlevideo.runtime.streams.row_groups import RowGroups
from paddlevideo.runtime.streams.session import Stepper


@dataclass(frozen=True)
class Work:
    """The frame that one row is to see.

    Attributes:
        row: of the runner.
        frame: what the network takes, [3, H, W].
        starts_anew: reset the row's states before it.
    """

    row: int
    frame: np.ndarray
    starts_anew: bool


class PoolBatch:
    """A runner of a fixed number of rows, each free or one stream's.

    Where the engine keeps rows apart, those without a frame cost nothing (`RowGroups`). Otherwise
    the runner steps all its rows. If only some of the open ones have a frame, the states of the
    others are put back afterwards, which costs a copy of all states; streams of one frame rate
    that are stepped together do not need it.
    """

    def __init__(self, runner: Stepper, num_rows: int) -> None:
        self.runner = runner
        self._num_rows = num_rows
        self._free = list(range(num_rows))
        self._stale: set[int] = set()  # rows of a new stream, which begin from nothing
        self._groups: RowGroups | None = None
        self._lock = threading.Lock()  # `open` and `step` may be called by different threads

    @property
    def num_open(self) -> int:
        """Rows that are a stream's."""
        return self._num_rows - len(self._free)

    def take_row(self) -> int:
        """Return a free row; its states are reset before the stream's first frame."""
        with self._lock:
            row = self._free.pop(0)
            self._stale.add(row)
            return row

    def free_row(self, row: int) -> None:
        """Give a row back."""
        with self._lock:
            self._stale.discard(row)
            self._free.append(row)

    def step(self, work: Sequence[Work]) -> np.ndarray:
        """Let rows see a frame, all others stay as they are; logits [len(work), N] in order."""
        rows = [item.row for item in work]
        with self._lock:
            anew = sorted({item.row for item in work if item.starts_anew} | self._stale & {*rows})
            idle = sorted({*range(self._num_rows)} - {*self._free} - self._stale - {*rows})
        logits_BN = self._step(rows, [item.frame for item in work], anew, idle)
        with self._lock:
            self._stale.difference_update(anew)  # only now: a step that fails leaves them stale
        return logits_BN

    def _step(
        self, rows: list[int], frames: list[np.ndarray], anew: list[int], idle: list[int]
    ) -> np.ndarray:
        if self._groups is None:
            self._groups = self.runner.apart()
        if self._groups is not None:
            return self._groups.step(rows, frames, anew)
        return self._step_all(rows, frames, anew, idle)

    def _step_all(
        self, rows: list[int], frames: list[np.ndarray], anew: list[int], idle: list[int]
    ) -> np.ndarray:
        if anew:
            whole = not idle and len(anew) == len(rows)  # nobody's states are lost with the rest
            self.runner.reset(None if whole else anew)
        before = self.runner.snapshot() if idle else {}
        frames_BCHW = np.zeros((self._num_rows, *frames[0].shape), frames[0].dtype)
        frames_BCHW[rows] = frames
        logits_BN = self.runner.step(frames_BCHW)
        if idle:
            self._put_back(before, idle)
        chosen: np.ndarray = logits_BN[rows]
        return chosen

    def _put_back(self, before: dict[str, np.ndarray], rows: list[int]) -> None:
        states = {name: np.array(array) for name, array in self.runner.snapshot().items()}
        for name, array in states.items():
            array[rows] = before[name][rows]
        self.runner.restore(states)
