"""Loss, accuracy, speed and memory of a running epoch."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, TypeVar

import numpy as np
import paddle
import pydantic
from paddle import Tensor

from paddlevideo.metrics import Metric
from paddlevideo.modeling.distributed import world_size
from paddlevideo.tasks.stateful import State, Stateful, arrays_of, checked_state, values_of
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.memory import resident_bytes

Batch = TypeVar("Batch")

_PENDING = "pending"  # what waits on the device, one row a step
_MEGABYTE = 1e6

GRAD_NORM = "grad_norm"  # of a step's result, where the step gives it: a 0-d tensor
# Values of every training; what else there is comes from the metric.
OF_THE_LOOP = frozenset({
    "epoch", "step", "loss", "lr", "batch_seconds", "reader_seconds", "seconds", "seconds_left",
    "samples_per_second", "data_share", "compute_share", "memory_mb", "gpu_memory_mb", GRAD_NORM,
    "bad_samples", "bad_share", "skipped_steps",
})  # fmt: skip


class _Counts(pydantic.BaseModel):
    """Steps, samples, seconds of waiting for data and of computing, and seconds in all."""

    model_config = pydantic.ConfigDict(allow_inf_nan=False)

    steps: Annotated[int, pydantic.Field(ge=0, le=2**62)] = 0
    samples: Annotated[int, pydantic.Field(ge=0, le=2**62)] = 0
    reader_seconds: float = 0.0
    compute_seconds: float = 0.0
    seconds: float = 0.0


class _MeterState(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(allow_inf_nan=False)

    done: _Counts = pydantic.Field(default_factory=_Counts)
    read: _Counts = pydantic.Field(default_factory=_Counts)
    names: list[str] = []
    totals: dict[str, float] = {}
    rate: float = 0.0


class TrainMeter(Stateful):
    """Adds up an epoch on the device; what was added is read only every ``log_interval`` steps.

    Values are of this process's share of the batches; samples a second are those of all processes,
    whose batches are of one size.
    """

    may_begin_anew = True

    def __init__(self, log_interval: int, metric: Metric) -> None:
        self.log_interval = log_interval
        self.metric = metric
        self.reset()

    def reset(self) -> None:
        """Begin another epoch."""
        self._pending: list[Tensor] = []
        self._state = _MeterState()
        self._start = self._batch_came = time.monotonic()
        self._grad_norm: Tensor | None = None

    def begin(self) -> None:
        """Let time run, for an epoch or what is left of one."""
        self._start = time.monotonic() - self._state.done.seconds

    def timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield ``batches``, measuring how long each was waited for."""
        iterator = iter(batches)
        while True:
            start = time.monotonic()
            batch = next(iterator, None)
            self._state.done.reader_seconds += time.monotonic() - start
            if batch is None:
                return
            self._batch_came = time.monotonic()
            yield batch

    def add(
        self, result: Mapping[str, Tensor], label_B: Tensor, rate: float, skipped: bool = False
    ) -> None:
        """Add the batch that came last without waiting for the device.

        Args:
            skipped: the step was left out as its values are not finite; they are not added.
        """
        self._state.done.steps += 1
        self._state.rate = rate
        if not skipped:
            self._add_values(result, label_B)
        self._state.done.compute_seconds += time.monotonic() - self._batch_came

    def _add_values(self, result: Mapping[str, Tensor], label_B: Tensor) -> None:
        right = self.metric.batch_sums(result["logits"], label_B)
        self._state.names = ["loss", *right]
        count = label_B.shape[0]
        loss = result["loss"].astype("float32").reshape([]) * count
        self._pending.append(paddle.stack([loss, *right.values()]))
        self._state.done.samples += count
        self._grad_norm = result.get(GRAD_NORM, self._grad_norm)

    def due(self, step: int, steps_per_epoch: int) -> bool:
        """Whether to read after ``step``."""
        return step % self.log_interval == 0 and step + 1 < steps_per_epoch

    def read(self) -> dict[str, float]:
        """Return the means over the steps since the last reading.

        With the shares of the time that went into waiting for data and into the steps themselves
        (what is left went into hooks and saving), memory, and the norm of the newest gradient.
        """
        before = self._state.read
        start = time.monotonic()
        sums = self._drain()
        norm = {} if self._grad_norm is None else {GRAD_NORM: float(self._grad_norm)}
        self._state.done.compute_seconds += time.monotonic() - start  # the device was waited for
        self._state.read = done = self._now()
        steps, samples = done.steps - before.steps, done.samples - before.samples
        seconds = max(done.seconds - before.seconds, 1e-9)
        reader = done.reader_seconds - before.reader_seconds
        return {
            "loss": math.nan,  # of an interval in which every step was skipped
            **{name: total / samples for name, total in sums.items()},
            "lr": self._state.rate,
            "batch_seconds": seconds / steps,
            "reader_seconds": reader / steps,
            "samples_per_second": samples * world_size() / seconds,
            "data_share": min(1.0, reader / seconds),
            "compute_share": min(1.0, (done.compute_seconds - before.compute_seconds) / seconds),
            **_memory(),
            **norm,
        }

    def summary(self) -> dict[str, float]:
        """Return the means over the whole epoch."""
        if self._pending:
            self._drain()
        done = self._now()
        samples = max(done.samples, 1)
        values = {key: total / samples for key, total in self._state.totals.items()}
        return {
            "loss": math.nan,
            **values,
            "lr": self._state.rate,
            "seconds": done.seconds,
            "samples_per_second": samples * world_size() / done.seconds,
        }

    def state_dict(self) -> State:
        """Return the sums, and what was not yet added to them, as it is: sums keep their bits."""
        if not self._state.done.steps:
            return {}
        self._now()
        pending = {_PENDING: paddle.stack(self._pending).numpy()} if self._pending else {}
        return {**self._state.model_dump(), **pending}

    def check_state(self, state: State, source: str) -> None:
        """Raise `WeightsError` unless these are the sums of a meter."""
        self._checked(state, source)

    def load_state_dict(self, state: State, source: str) -> None:
        """Go on within the epoch."""
        self._state, rows = self._checked(state, source)
        self._pending = [paddle.to_tensor(row) for row in rows]

    @staticmethod
    def _checked(state: State, source: str) -> tuple[_MeterState, np.ndarray]:
        checked = checked_state(_MeterState, values_of(state), source)
        width = len(checked.names)
        rows = arrays_of(state).get(_PENDING, np.zeros((0, width), np.float32))
        if rows.dtype.kind != "f" or rows.shape[1:] != (width,):
            raise WeightsError(f"{source} cannot be read as the sums of an epoch")
        return checked, rows

    def _now(self) -> _Counts:
        """What was done so far, its seconds up to now."""
        self._state.done.seconds = time.monotonic() - self._start
        return self._state.done.model_copy()

    def _drain(self) -> dict[str, float]:
        """Fetch what waits on the device, add it to the totals, return its sums."""
        if not self._pending:  # every step was skipped
            return {}
        sums = paddle.stack(self._pending).sum(axis=0).numpy()
        self._pending = []
        interval = dict(zip(self._state.names, map(float, sums), strict=True))
        totals = self._state.totals
        for key, value in interval.items():
            totals[key] = totals.get(key, 0.0) + value
        return interval


def _memory() -> dict[str, float]:
    """Megabytes: what the process holds and, on a GPU, the most that tensors took of its memory."""
    found = {}
    resident = resident_bytes()
    if resident is not None:
        found["memory_mb"] = resident / _MEGABYTE
    if paddle.get_device().startswith("gpu"):
        found["gpu_memory_mb"] = paddle.device.cuda.max_memory_allocated() / _MEGABYTE
    return found
