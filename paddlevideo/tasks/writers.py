"""Hooks that write the events of a training down: metrics as JSON lines, log lines, a bar."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from paddlevideo.modeling.distributed import is_main
from paddlevideo.tasks.hooks import Event, Hook, StepEnd, Training
from paddlevideo.tasks.run_folder import MetricsLog

logger = logging.getLogger(__name__)

# Values of every training; what else there is comes from the metric.
_OF_THE_LOOP = {"epoch", "step", "loss", "lr", "batch_seconds", "reader_seconds", "seconds",
                "samples_per_second", "bad_samples", "bad_share", "skipped_steps"}  # fmt: skip


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
            self._log_steps(event.values, event.extra)
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

    def _log_steps(self, values: Mapping[str, float], extra: Mapping[str, float]) -> None:
        seconds = int(extra["seconds_left"])
        logger.info(
            "epoch:[%3d/%-3d] train step:%-4d loss: %.5f lr: %.6f %s "
            "batch_cost: %.5f sec, reader_cost: %.5f sec, ips: %.5f instance/sec, eta: %s",
            *(values["epoch"], self.epochs, values["step"], values["loss"], values["lr"]),
            *(_of_the_metric(values), values["batch_seconds"], values["reader_seconds"]),
            extra["samples_per_second"],
            f"{seconds // 3600:d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
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
    return " ".join(f"{k}: {v:.5f}" for k, v in values.items() if k not in _OF_THE_LOOP)


class ProgressBar(Hook):
    """A bar on a terminal; log lines serve elsewhere."""

    def __init__(self) -> None:
        self.hidden = not (is_main() and sys.stderr.isatty())
        self.bar: tqdm | None = None

    def on_epoch_start(self, training: Training) -> None:
        """Open a bar as long as what is left of the epoch."""
        self.bar = tqdm(
            total=training.last_step - training.position.step,
            desc=f"epoch {training.position.epoch + 1}",
            leave=False,
            disable=self.hidden,
            dynamic_ncols=True,
        )

    def on_step_end(self, training: Training, step: StepEnd) -> None:
        """Move it."""
        if self.bar is not None:
            self.bar.update()

    def on_epoch_end(self, training: Training) -> None:
        """Close it."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def on_train_end(self, training: Training) -> None:
        """Close it, where an epoch ended early."""
        self.on_epoch_end(training)
