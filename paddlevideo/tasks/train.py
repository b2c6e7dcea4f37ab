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

from paddlevideo.loader import ClipLoader
from paddlevideo.metrics import METRICS
from paddlevideo.modeling.distributed import average_in_place, barrier, is_main, rank, world_size
from paddlevideo.solver import build_optimizer, build_schedule
from paddlevideo.tasks.build import build_loader, build_split, describe_model
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.tasks.class_names import check_record, class_names, record_class_names
from paddlevideo.tasks.evaluate import evaluate
from paddlevideo.tasks.freeze import FrozenStages
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.restore_statistics import restore_folded
from paddlevideo.tasks.run_folder import (
    BAD_SAMPLES_NAME,
    MetricsLog,
    make_run_folder,
    save_training_record,
)
from paddlevideo.tasks.schedule_length import warn_of_another_length
from paddlevideo.tasks.step import Precision, TrainStep, group_of
from paddlevideo.tasks.train_meter import TrainMeter
from paddlevideo.utils.errors import ConfigError, NonFiniteError
from paddlevideo.utils.randomness import device_seed

logger = logging.getLogger(__name__)


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
        class_names(recipe, model.num_classes)  # as many names as classes, or an error
        train_set = build_split(recipe, "train", self.folder / BAD_SAMPLES_NAME)
        self.train_loader = build_loader(recipe, "train", train_set, model.num_classes)
        self.valid_loader = _validation_loader(recipe, model.num_classes) if validate else None
        self.metric = METRICS.build(recipe.METRIC, "METRIC")
        warn_of_another_length(recipe.OPTIMIZER["learning_rate"], recipe.epochs)
        self.metric.check_classes(model.num_classes)
        self.schedule = build_schedule(recipe.OPTIMIZER["learning_rate"], "OPTIMIZER.learning_rate")
        optimizer = build_optimizer(recipe.OPTIMIZER, model, "OPTIMIZER")
        self.step = TrainStep(model, optimizer, precision or Precision())
        self.group_size = _group_size(recipe)
        self.checkpoints = Checkpoints(self.folder, recipe.model_name)
        self.metrics_log = MetricsLog(self.folder)
        self.best: dict[str, float] = {}
        self.iterations = 0
        self.first_step = 0  # of the first epoch, where a run was stopped inside it
        self.resumed = False
        self._part: int | None = None  # steps done of an epoch that --max_iters cut
        self._step, self._rate = 0, 0.0

    def run(self) -> dict[str, float]:
        """Train to the end; return the best validation result (empty without validation)."""
        first = self._resume()
        if self.resumed:
            check_record(self.recipe)
        else:
            restore_folded(self.model, self.train_loader)
        save_training_record(self.recipe)
        if is_main():
            record_class_names(self.recipe)
        self.metrics_log.write(
            "resume" if self.resumed else "start",
            epoch=first,
            epochs=self.recipe.epochs,
            steps_per_epoch=len(self.train_loader),
            samples=self.train_loader.num_samples,
        )
        logger.info(
            "train %s on %d clips", describe_model(self.model), self.train_loader.num_samples
        )
        if self.frozen.layers:
            logger.info("freeze: everything up to %s stays as it is", self.recipe.freeze)
        batches = self.train_loader.epochs(first, self.recipe.epochs, self.first_step)
        with contextlib.closing(batches):
            self._run_epochs(first, batches)
        logger.info("training finished: %s", self.folder)
        return self.best

    def _run_epochs(self, first: int, batches: Iterator[Any]) -> None:
        for epoch in range(first, self.recipe.epochs):
            if self._steps_left() == 0:
                break
            with self._told_where(epoch):
                self._train_epoch(epoch, batches)
                self._end_epoch(epoch + 1)
            if self._is_stale(epoch + 1):
                logger.info(
                    "no better result in %d validations (patience): training ends after epoch %d",
                    self.recipe.patience, epoch + 1,
                )  # fmt: skip
                break

    def _is_stale(self, done: int) -> bool:
        """Whether the best result is as many validations ago as ``patience`` allows."""
        patience = self.recipe.patience
        if patience is None or not self.best or self.valid_loader is None:
            return False
        return done - self.best["epoch"] >= patience * self.recipe.val_interval

    def _end_epoch(self, done: int) -> None:
        """Validate and save, where it is time."""
        last = done == self.recipe.epochs or self._steps_left() == 0
        validate = self.valid_loader is not None and (last or done % self.recipe.val_interval == 0)
        save = last or done % self.recipe.save_interval == 0
        if validate or save:
            self._share_statistics()
            # In every process, so that none waits for one that has stopped.
            self.checkpoints.check_finite(self.model, self.step.optimizer)
        if validate:
            self._validate(done)
        if save or self._is_stale(done):
            self._save(done)

    @contextlib.contextmanager
    def _told_where(self, epoch: int) -> Iterator[None]:
        """Add to a divergence where it was, what to do, and what is left."""
        try:
            yield
        except NonFiniteError as error:
            good = self.checkpoints.last_good()
            left = f"the last good weights are {good}" if good else "no weights were saved"
            raise NonFiniteError(
                f"{error}: epoch {epoch + 1}, step {max(self._step, 0)}, learning rate "
                f"{self._rate:.3g}. Lower the learning rate or warm up longer; {left}"
            ) from None

    def _train_epoch(self, epoch: int, batches: Iterator[Any]) -> None:
        self.frozen.train_rest()
        paddle.seed(device_seed(self.recipe.seed, epoch, 0, rank()))
        num_steps = len(self.train_loader)
        meter = TrainMeter(
            epoch, self.recipe.epochs, num_steps, self.recipe.log_interval, self.metric
        )
        first, self.first_step = self.first_step, 0
        end = min(num_steps, first + self._steps_left())
        self._part = end if end < num_steps else None
        timed = meter.timed(islice(batches, end - first))
        for step, batch in enumerate(_with_bar(timed, end - first, epoch), start=first):
            rate = self.schedule.rate(epoch, step, num_steps)
            self._step, self._rate = step, rate
            group_size, update = group_of(step, end, self.group_size)
            self.iterations += 1
            result = self.step(batch, rate, group_size, update)
            meter.add(result, batch["label"], rate)
            if meter.due(step):
                self._record(epoch, step, meter.read())
        self._record(epoch, None, meter.summary())

    def _record(self, epoch: int, step: int | None, values: dict[str, float]) -> None:
        if not math.isfinite(values["loss"]):
            raise NonFiniteError(f"the loss is {values['loss']}")
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
        name = self.metric.headline
        self.metrics_log.write("valid", epoch=done, headline=name, **result)
        shown = " ".join(f"{key}: {value:.5g}" for key, value in result.items())
        logger.info("END epoch:%-4d valid %s", done, shown)
        if self.metric.is_better(result, self.best):
            if is_main():
                self.checkpoints.save_best(self.model)
            self.best = {**result, "epoch": done}
            logger.info("Already save the best model (%s acc)%.4f", name, result[name])

    def _save(self, done: int) -> None:
        if is_main():
            state = {
                "best": self.best,
                "next_step": self._part or 0,
                "iterations": self.iterations,
                "seed": self.recipe.seed,
                "freeze": self.recipe.freeze,
            }
            self.checkpoints.save(done, self.model, self.step.optimizer, state)
        if self._part is not None:
            logger.info(
                "stopped after step %d of %d of epoch %d; a resumed run goes on there",
                self._part, len(self.train_loader), done,
            )  # fmt: skip
        barrier()

    def _resume(self) -> int:
        """Restore the checkpoint that the recipe names; return the epoch to go on with."""
        epoch = self.recipe.resume_epoch
        if epoch == "latest":
            epoch = self.checkpoints.newest_valid()
        if not epoch:
            return 0
        state = self.checkpoints.load(epoch, self.model, self.step.optimizer, self.recipe.freeze)
        self.resumed = True
        self.best, self.iterations = state.best, state.iterations
        self.first_step = state.next_step
        if self.first_step >= len(self.train_loader):
            raise ConfigError(
                f"cannot resume in epoch {epoch}, before step {self.first_step}: an epoch has "
                f"{len(self.train_loader)} steps now; give the data and the batch size of the run"
            )
        if self.first_step:
            logger.info("resumed in epoch %d, before step %d", epoch, self.first_step)
            return int(epoch) - 1
        logger.info("resumed after epoch %d", epoch)
        return int(epoch)

    def _steps_left(self) -> int:
        """Steps until ``max_iters``; without it, more than there are."""
        most = sys.maxsize if self.max_iters is None else self.max_iters
        return max(0, most - self.iterations)


def _validation_loader(recipe: Recipe, num_classes: int) -> ClipLoader:
    """The loader of the ``valid`` split, whose files are looked for before hours of training."""
    dataset = build_split(recipe, "valid")
    if recipe.DATASET is not None and recipe.DATASET.on_unreadable == "error":
        dataset.check_files()
    return build_loader(recipe, "valid", dataset, num_classes)


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
