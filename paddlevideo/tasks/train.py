"""The training loop. It knows recipes, recognizers and loaders, and no model's name."""

import contextlib
import logging
import math
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

import paddle
from paddle import Tensor, nn
from tqdm import tqdm

from paddlevideo.metrics import METRICS
from paddlevideo.solver import build_optimizer, build_schedule
from paddlevideo.tasks.build import build_loader, build_split, describe_model
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.tasks.evaluate import evaluate
from paddlevideo.tasks.freeze import FrozenStages
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.run_folder import (
    BAD_SAMPLES_NAME,
    MetricsLog,
    make_run_folder,
    save_training_record,
)
from paddlevideo.tasks.schedule_length import warn_of_another_length
from paddlevideo.tasks.step import Precision, TrainStep, group_of
from paddlevideo.tasks.train_meter import TrainMeter
from paddlevideo.utils.distributed import average_in_place, barrier, is_main, rank, world_size
from paddlevideo.utils.errors import ConfigError, PaddleVideoError
from paddlevideo.utils.randomness import device_seed

logger = logging.getLogger(__name__)


class TrainingDivergedError(PaddleVideoError):
    """The loss is not a number any more."""


class Trainer:
    """Train the recognizer of a recipe.

    Args:
        recipe: a checked recipe.
        model: the recognizer, with its initial weights.
        validate: evaluate the ``valid`` split every ``val_interval`` epochs and keep the best.
        precision: mixed precision.
        max_iters: stop after this many steps in total.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Layer,
        validate: bool = False,
        precision: Precision | None = None,
        max_iters: int | None = None,
    ) -> None:
        if recipe.OPTIMIZER is None:
            raise ConfigError("the section OPTIMIZER is missing")
        self.recipe = recipe
        self.model = model
        self.frozen = FrozenStages(model, recipe.freeze)
        self.max_iters = max_iters
        self.folder = make_run_folder(recipe)
        train_set = build_split(recipe, "train", self.folder / BAD_SAMPLES_NAME)
        self.train_loader = build_loader(recipe, "train", train_set, model.num_classes)
        self.valid_loader = (
            build_loader(recipe, "valid", build_split(recipe, "valid"), model.num_classes)
            if validate
            else None
        )
        self.metric = METRICS.build(recipe.METRIC, "METRIC")
        warn_of_another_length(recipe.OPTIMIZER["learning_rate"], recipe.epochs)
        self.schedule = build_schedule(recipe.OPTIMIZER["learning_rate"], "OPTIMIZER.learning_rate")
        optimizer = build_optimizer(recipe.OPTIMIZER, model, "OPTIMIZER")
        self.step = TrainStep(model, optimizer, precision or Precision())
        self.group_size = _group_size(recipe)
        self.checkpoints = Checkpoints(self.folder, recipe.model_name)
        self.metrics_log = MetricsLog(self.folder)
        self.best: dict[str, float] = {}
        self.iterations = 0

    def run(self) -> dict[str, float]:
        """Train to the end; return the best validation result (empty without validation)."""
        first = self._resume()
        save_training_record(self.recipe)
        self.metrics_log.write(
            "resume" if first else "start",
            epoch=first,
            epochs=self.recipe.epochs,
            steps_per_epoch=len(self.train_loader),
        )
        logger.info(
            "train %s on %d clips", describe_model(self.model), self.train_loader.num_samples
        )
        if self.frozen.layers:
            logger.info("freeze: everything up to %s stays as it is", self.recipe.freeze)
        batches = self.train_loader.epochs(first, self.recipe.epochs)
        with contextlib.closing(batches):
            self._run_epochs(first, batches)
        logger.info("training finished: %s", self.folder)
        return self.best

    def _run_epochs(self, first: int, batches: Iterator[Any]) -> None:
        for epoch in range(first, self.recipe.epochs):
            if self._steps_left() == 0:
                break
            self._train_epoch(epoch, batches)
            done = epoch + 1
            last = done == self.recipe.epochs or self._steps_left() == 0
            validate = self.valid_loader is not None and (
                last or done % self.recipe.val_interval == 0
            )
            save = last or done % self.recipe.save_interval == 0
            if validate or save:
                self._share_statistics()
            if validate:
                self._validate(done)
            if save:
                self._save(done)

    def _train_epoch(self, epoch: int, batches: Iterator[Any]) -> None:
        self.frozen.train_rest()
        paddle.seed(device_seed(self.recipe.seed, epoch, 0, rank()))
        num_steps = len(self.train_loader)
        meter = TrainMeter(epoch, self.recipe.epochs, num_steps, self.recipe.log_interval)
        num_here = min(num_steps, self._steps_left())
        timed = meter.timed(islice(batches, num_here))
        for step, batch in enumerate(_with_bar(timed, num_here, epoch)):
            rate = self.schedule.rate(epoch, step, num_steps)
            group_size, update = group_of(step, num_here, self.group_size)
            self.iterations += 1
            result = self.step(batch, rate, group_size, update)
            meter.add(result, batch["label"], rate)
            if meter.due(step):
                self._record(epoch, step, meter.read())
        self._record(epoch, None, meter.summary())

    def _record(self, epoch: int, step: int | None, values: dict[str, float]) -> None:
        if not math.isfinite(values["loss"]):
            at = "" if step is None else f", step {step}"
            raise TrainingDivergedError(
                f"the loss is {values['loss']} in epoch {epoch + 1}{at}; lower the learning rate "
                f"or warm up longer. The last good weights are in {self.folder}"
            )
        kind = "train_epoch" if step is None else "train"
        place = {} if step is None else {"step": step}
        self.metrics_log.write(kind, epoch=epoch + 1, **place, **values)

    def _share_statistics(self) -> None:
        """Give every process the mean of all processes' running statistics."""
        average_in_place(self.frozen.moving_statistics())

    def _validate(self, done: int) -> None:
        if self.valid_loader is None:
            return
        result = evaluate(self.model, self.valid_loader, self.metric, f"valid {done}")
        self.metrics_log.write("valid", epoch=done, **result)
        shown = " ".join(f"{key}: {value:.5g}" for key, value in result.items())
        logger.info("END epoch:%-4d valid %s", done, shown)
        if not self.best or result["top1"] > self.best["top1"]:
            self.best = {**result, "epoch": done}
            if is_main():
                self.checkpoints.save_best(self.model)
            logger.info("Already save the best model (top1 acc)%.4f", result["top1"])

    def _save(self, done: int) -> None:
        if is_main():
            state = {
                "best": self.best,
                "iterations": self.iterations,
                "seed": self.recipe.seed,
                "freeze": self.recipe.freeze,
            }
            self.checkpoints.save(done, self.model, self.step.optimizer, state)
        barrier()

    def _resume(self) -> int:
        """Restore the checkpoint that the recipe names; return the epoch to go on with."""
        epoch = self.recipe.resume_epoch
        if epoch == "latest":
            epoch = self.checkpoints.newest_valid()
        if not epoch:
            return 0
        state = self.checkpoints.load(epoch, self.model, self.step.optimizer, self.recipe.freeze)
        self.best, self.iterations = state["best"], state["iterations"]
        logger.info("resumed after epoch %d", epoch)
        return int(epoch)

    def _steps_left(self) -> int:
        """Steps until ``max_iters``; without it, more than there are."""
        most = sys.maxsize if self.max_iters is None else self.max_iters
        return max(0, most - self.iterations)


def _group_size(recipe: Recipe) -> int:
    """Batches per update, from GRADIENT_ACCUMULATION."""
    if recipe.GRADIENT_ACCUMULATION is None or recipe.DATASET is None:
        return 1
    per_step = recipe.DATASET.batch_size * world_size()
    wanted = recipe.GRADIENT_ACCUMULATION.global_batch_size
    if wanted % per_step:
        raise ConfigError(
            f"GRADIENT_ACCUMULATION.global_batch_size is {wanted}, not a multiple of "
            f"batch_size x processes = {per_step}"
        )
    return wanted // per_step


def _with_bar(batches: Iterator[Any], total: int, epoch: int) -> Iterator[dict[str, Tensor]]:
    """Show a bar on a terminal; log lines serve elsewhere."""
    hidden = not (is_main() and sys.stderr.isatty())
    yield from tqdm(
        batches,
        total=total,
        desc=f"epoch {epoch + 1}",
        leave=False,
        disable=hidden,
        dynamic_ncols=True,
    )
