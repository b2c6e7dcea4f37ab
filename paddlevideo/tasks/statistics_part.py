"""Running statistics in the middle of an epoch, where every process has its own.

They are averaged at an epoch's end. A save before that must not average them: whether and when a
run is saved would change its numbers.
"""

from collections.abc import Callable, Iterable

import numpy as np
from paddle import Tensor

from paddlevideo.modeling.distributed import gather_rows, rank, world_size
from paddlevideo.tasks.stateful import State, Stateful, arrays_of
from paddlevideo.utils.errors import WeightsError

_ROWS = "rows"  # [process, value], the statistics one after the other


class StatisticsPart(Stateful):
    """The running statistics of each process; nothing where there is one process.

    Args:
        statistics: gives the tensors, in the same order in all processes.
    """

    may_begin_anew = True  # then each has the main process's, which the model's weights hold

    def __init__(self, statistics: Callable[[], Iterable[Tensor]]) -> None:
        self._statistics = statistics
        self._rows: np.ndarray | None = None

    def gather(self) -> None:
        """Collect them from all processes."""
        if world_size() > 1:
            self._rows = gather_rows(self._own())

    def state_dict(self) -> State:
        """Return what was gathered."""
        return {} if self._rows is None else {_ROWS: self._rows}

    def check_state(self, state: State, source: str) -> None:
        """Raise `WeightsError` unless there is a row of so many values for each process."""
        rows = arrays_of(state).get(_ROWS)
        if rows is not None and (rows.ndim != 2 or rows.shape[1] != self._own().size):
            raise WeightsError(f"{source} does not hold the running statistics of this model")

    def load_state_dict(self, state: State, source: str) -> None:
        """Take this process's row; of another number of processes all rows' mean."""
        self.check_state(state, source)
        rows = arrays_of(state).get(_ROWS)
        if rows is None:
            return
        same = rows.shape[0] == world_size()
        self._set(rows[rank()] if same else rows.mean(axis=0, dtype=np.float64))

    def _own(self) -> np.ndarray:
        flat = [tensor.numpy().astype(np.float32).ravel() for tensor in self._statistics()]
        return np.concatenate(flat) if flat else np.zeros(0, np.float32)

    def _set(self, row: np.ndarray) -> None:
        start = 0
        for tensor in self._statistics():
            size = int(np.prod(tensor.shape))
            values = row[start : start + size].reshape(tensor.shape)
            tensor.set_value(values.astype(tensor.numpy().dtype))
            start += size
