"""Loss, accuracy and speed of a running epoch, in PaddleVideo's log lines."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import paddle
from paddle import Tensor

logger = logging.getLogger(__name__)


class TrainMeter:
    """Add up an epoch on the device; read, log and reset only every ``log_interval`` steps.

    Values are of this process's share of the batches.
    """

    def __init__(
        self,
        epoch: int,
        epochs: int,
        num_steps: int,
        log_interval: int,
        metric: Any,
    ) -> None:
        self.metric = metric
        self._names: tuple[str, ...] = ("loss",)
        self.epoch, self.epochs = epoch, epochs
        self.num_steps = num_steps
        self.log_interval = log_interval
        self._totals: dict[str, float] = {}
        self._pending: list[Tensor] = []
        self._steps = 0
        self._samples = 0
        self._rate = 0.0
        self._reader_seconds = 0.0
        self._start = self._interval_start = time.monotonic()
        self._interval = (0, 0, 0.0)

    def timed(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield ``batches``, measuring how long each was waited for."""
        iterator = iter(batches)
        while True:
            start = time.monotonic()
            batch = next(iterator, None)
            self._reader_seconds += time.monotonic() - start
            if batch is None:
                return
            yield batch

    def add(self, result: Mapping[str, Tensor], label_B: Tensor, rate: float) -> None:
        """Add one batch without waiting for the device."""
        right = self.metric.batch_sums(result["logits"], label_B)
        self._names = ("loss", *right)
        count = label_B.shape[0]
        loss = result["loss"].astype("float32").reshape([]) * count
        self._pending.append(paddle.stack([loss, *right.values()]))
        self._steps += 1
        self._samples += count
        self._rate = rate

    def due(self, step: int) -> bool:
        """Whether to read after ``step``."""
        return step % self.log_interval == 0 and step + 1 < self.num_steps

    def read(self) -> dict[str, float]:
        """Log the steps since the last reading; return their means."""
        steps, samples, reader = self._interval
        values = self._drain(self._samples - samples)
        seconds = time.monotonic() - self._interval_start
        num_steps = self._steps - steps
        values["lr"] = self._rate
        values["batch_seconds"] = seconds / num_steps
        values["reader_seconds"] = (self._reader_seconds - reader) / num_steps
        speed = (self._samples - samples) / max(seconds, 1e-9)
        logger.info(
            "epoch:[%3d/%-3d] train step:%-4d loss: %.5f lr: %.6f %s "
            "batch_cost: %.5f sec, reader_cost: %.5f sec, ips: %.5f instance/sec, eta: %s",
            self.epoch + 1,
            self.epochs,
            self._steps - 1,
            values["loss"],
            self._rate,
            self._shown(values),
            values["batch_seconds"],
            values["reader_seconds"],
            speed,
            self._eta(),
        )
        self._interval = (self._steps, self._samples, self._reader_seconds)
        self._interval_start = time.monotonic()
        return values

    def summary(self) -> dict[str, float]:
        """Log and return the means of the whole epoch."""
        if self._pending:
            self._drain(1)
        seconds = time.monotonic() - self._start
        samples = max(self._samples, 1)
        values = {key: total / samples for key, total in self._totals.items()}
        values.update(lr=self._rate, seconds=seconds, samples_per_second=samples / seconds)
        logger.info(
            "END epoch:%-4d train loss: %.5f %s, %.1f sec, %.2f instance/sec",
            self.epoch + 1,
            values["loss"],
            self._shown(values),
            seconds,
            values["samples_per_second"],
        )
        return values

    def _drain(self, num_samples: int) -> dict[str, float]:
        """Fetch what waits on the device, add it to the totals, return its means."""
        sums = paddle.stack(self._pending).sum(axis=0).numpy()
        self._pending = []
        interval = dict(zip(self._names, map(float, sums), strict=True))
        for key, value in interval.items():
            self._totals[key] = self._totals.get(key, 0.0) + value
        return {key: value / max(num_samples, 1) for key, value in interval.items()}

    def _shown(self, values: Mapping[str, float]) -> str:
        return " ".join(f"{name}: {values[name]:.5f}" for name in self._names[1:])

    def _eta(self) -> str:
        """Time to the end of training at this epoch's pace."""
        pace = (time.monotonic() - self._start) / self._steps
        left = (self.epochs - self.epoch) * self.num_steps - self._steps
        seconds = int(pace * left)
        return f"{seconds // 3600:d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
