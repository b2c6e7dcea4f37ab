"""Hooks that write the events of a training down: metrics as JSON lines, log lines, a bar."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from paddlevideo.modeling.distributed import is_main
from paddlevideo.tasks.hooks import Event, Hook, StepEnd, Training
from paddlevideo.tasks.run_folder import MetricsLog
from paddlevideo.tasks.time_left import TimeLeft
from paddlevideo.tasks.train_meter import GRAD_NORM, OF_THE_LOOP
from paddlevideo.utils.run_bar import RunBar, clock

logger = logging.getLogger(__name__)


class MetricsWriter(Hook):
    """``metrics.jsonl``: one line for each event."""

    def __init__(self, folder: Path) -> None:
        self.log = MetricsLog(folder)

    def on_event(self, event: Event) -> None:
        """Append it."""
        self.log.write(event.kind, **event.values, iterations=event.iterations)


class LogLines(Hook):
    """PaddleVideo's log lines.

    Args:
        epochs: of the whole training.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_event(self, event: Event) -> None:
        """Log one that has a line."""
        if event.kind == "train":
            self._log_steps(event.values)
        elif event.kind == "train_epoch":
            values = event.values
            logger.info(
                "END epoch:%-4d train loss: %.5f %s, %.1f sec, %.2f instance/sec%s",
                *(values["epoch"], values["loss"], _of_the_metric(values)),
                *(values["seconds"], values["samples_per_second"], _let_pass(values)),
            )
        elif event.kind == "valid":
            numbers = {k: v for k, v in event.values.items() if k not in ("epoch", "headline")}
            shown = " ".join(f"{key}: {value:.5g}" for key, value in numbers.items())
            logger.info("END epoch:%-4d valid %s", event.values["epoch"], shown)

    def _log_steps(self, values: Mapping[str, float]) -> None:
        logger.info(
            "epoch:[%3d/%-3d] train step:%-4d loss: %.5f lr: %.6f %s "
            "batch_cost: %.5f sec, reader_cost: %.5f sec, ips: %.5f instance/sec, eta: %s%s",
            *(values["epoch"], self.epochs, values["step"], values["loss"], values["lr"]),
            *(_of_the_metric(values), values["batch_seconds"], values["reader_seconds"]),
            *(values["samples_per_second"], clock(values["seconds_left"]), _behind(values)),
        )


def _let_pass(values: Mapping[str, float]) -> str:
    """What the guards let pass in an epoch."""
    text = ""
    if "bad_samples" in values:
        text = f", bad samples: {values['bad_samples']:d} ({values['bad_share']:.1%})"
    if values.get("skipped_steps"):
        text += f", skipped steps: {values['skipped_steps']:d}"
    return text


def _of_the_metric(values: Mapping[str, float]) -> str:
    return " ".join(f"{k}: {v:.5f}" for k, v in values.items() if k not in OF_THE_LOOP)


# Behind PaddleVideo's own: its format stays that of the part before.
_BEHIND = {
    "data_share": ", data: {:.1%}",
    "compute_share": ", compute: {:.1%}",
    "memory_mb": ", memory: {:.0f} MB",
    "gpu_memory_mb": ", gpu memory: {:.0f} MB",
    GRAD_NORM: ", grad_norm: {:.4g}",
}


def _behind(values: Mapping[str, float]) -> str:
    return "".join(form.format(values[k]) for k, form in _BEHIND.items() if k in values)


class ProgressBar(Hook):
    """A bar over the whole run, validations included, on a terminal; log lines serve elsewhere.

    Args:
        time_left: measures what is left.
    """

    def __init__(self, time_left: TimeLeft) -> None:
        self.time_left = time_left
        self.hidden = not (is_main() and sys.stderr.isatty())
        self.bar: RunBar | None = None
        self._steps: dict[str, float] = {}
        self._validation: dict[str, float] = {}
        self._headline = ""

    def on_train_start(self, training: Training) -> None:
        """Open the bar as far as the run is."""
        self._headline = training.metric.headline
        length = training.length
        done = length.batches_done(training.position.iterations)
        self.bar = RunBar(length.batches, done, self.hidden)

    def on_event(self, event: Event) -> None:
        """Keep the values that it shows."""
        values = event.values
        if event.kind in ("train", "train_epoch"):
            shown = ("loss", self._headline)
            self._steps = {name: values[name] for name in shown if name in values}
        elif event.kind == "valid":
            self._validation = {f"valid {self._headline}": values[self._headline]}

    def on_step_end(self, training: Training, step: StepEnd) -> None:
        """Move it by a step."""
        self._move(training, f"epoch {training.position.epochs_begun}/{training.recipe.epochs}")

    def on_validation_batch(self, training: Training) -> None:
        """Move it by a batch."""
        self._move(training, f"validation {training.position.epochs_begun}")

    def on_train_end(self, training: Training) -> None:
        """Close it; it stays on the terminal."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _move(self, training: Training, title: str) -> None:
        if self.bar is None or self.hidden:
            return
        left = self.time_left.seconds(training.position.iterations)
        self.bar.tell(title, {**self._steps, **self._validation}, left)
        self.bar.update()
