"""The training loop. It knows recipes, recognizers, parts and hooks, and no model's name."""

import contextlib
import logging
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import paddle
from paddle import Tensor, nn

from paddlevideo.loader import ClipLoader
from paddlevideo.metrics import METRICS
from paddlevideo.modeling.distributed import average_in_place, barrier, is_main, rank, world_size
from paddlevideo.solver import build_optimizer, build_schedule
from paddlevideo.tasks.best import BestResult, EarlyStop
from paddlevideo.tasks.build import build_loader, build_split, describe_model
from paddlevideo.tasks.checkpoint import MODEL, OPTIMIZER, Checkpoints
from paddlevideo.tasks.class_names import check_record, class_names, record_class_names
from paddlevideo.tasks.evaluate import evaluate
from paddlevideo.tasks.freeze import FrozenStages
from paddlevideo.tasks.hooks import HOOKS, Event, Hook, StepEnd
from paddlevideo.tasks.parts import ModelPart, OptimizerPart, RunPart, ScalerPart
from paddlevideo.tasks.position import Position
from paddlevideo.tasks.quantize_aware import QuantizationSchedule
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.restore_statistics import restore_folded
from paddlevideo.tasks.run_folder import BAD_SAMPLES_NAME, make_run_folder, save_training_record
from paddlevideo.tasks.schedule_length import warn_of_another_length
from paddlevideo.tasks.stateful import Stateful
from paddlevideo.tasks.step import Precision, TrainStep, group_of
from paddlevideo.tasks.train_meter import TrainMeter
from paddlevideo.tasks.writers import LogLines, MetricsWriter, ProgressBar
from paddlevideo.utils.errors import ConfigError, NonFiniteError
from paddlevideo.utils.randomness import device_seed

logger = logging.getLogger(__name__)

Batches = Iterator[dict[str, Tensor]]


class Trainer:
    """Train the recognizer of a recipe; what hooks may use of it is `Training`.

    Args:
        recipe: a checked recipe.
        model: the recognizer, with its initial weights.
        validate: evaluate the ``valid`` split every ``val_interval`` epochs and keep the best.
        precision: mixed precision.
        max_iters: stop after this many steps in total.
        hooks: more of them, beside those that the recipe lists.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Layer,
        validate: bool = False,
        precision: Precision | None = None,
        max_iters: int | None = None,
        hooks: Sequence[Hook] = (),
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
        self.position = Position(len(self.train_loader))
        self.last_step = len(self.train_loader)
        self.meter = TrainMeter(recipe.log_interval, self.metric)
        self.best = BestResult()
        listed = [HOOKS.build(node, f"HOOKS[{i}]") for i, node in enumerate(recipe.HOOKS)]
        added = [*listed, *hooks]
        self.hooks = [*self._own_hooks(), *added]
        self.parts: Mapping[str, Stateful] = {**self._own_parts(), **_parts_among(added)}
        self.resumed = self._save_wanted = False
        self._stop_reason: str | None = None
        self._at = (0, 0, 0.0)  # epoch, step and learning rate of the newest step

    def _own_hooks(self) -> list[Hook]:
        hooks = [
            MetricsWriter(self.folder), LogLines(self.recipe.epochs), ProgressBar(), self.best
        ]  # fmt: skip
        if self.recipe.QUANTIZE is not None:
            hooks.append(QuantizationSchedule(self.recipe.QUANTIZE, self.recipe.epochs))
        if self.recipe.patience is not None:
            hooks.append(EarlyStop(self.best, self.recipe.patience))
        return hooks

    def _own_parts(self) -> dict[str, Stateful]:
        return {
            MODEL: ModelPart(self.model),
            OPTIMIZER: OptimizerPart(self.step.optimizer, self.model),
            "scaler": ScalerPart(self.step.scaler),
            "position": self.position,
            "meters": self.meter,
            "best": self.best,
            "run": RunPart(self.recipe.seed, self.recipe.freeze),
        }

    def emit(self, event: Event) -> None:
        """Give an event to every hook."""
        for hook in self.hooks:
            hook.on_event(event)

    def ask_to_save(self) -> None:
        """Have the state saved as soon as it is whole; in every process alike."""
        self._save_wanted = True

    def stop(self, reason: str) -> None:
        """Have the training saved and ended; in every process alike."""
        self._stop_reason = reason
        self._save_wanted = True

    def save_best(self) -> None:
        """Save the weights as the best ones."""
        if is_main():
            self.checkpoints.save_best(self.model)

    def run(self) -> dict[str, float]:
        """Train to the end; return the best validation result (empty without validation)."""
        self._resume()
        if self.resumed:
            check_record(self.recipe)
        else:
            restore_folded(self.model, self.train_loader)
        save_training_record(self.recipe)
        if is_main():
            record_class_names(self.recipe)
        self._emit_start()
        first = self.position.epoch
        batches = self.train_loader.epochs(first, self.recipe.epochs, self.position.step)
        with contextlib.closing(batches), contextlib.ExitStack() as ends:
            for hook in self.hooks:
                ends.callback(hook.on_train_end, self)
                hook.on_train_start(self)
            self._run_epochs(batches)
        logger.info("training finished: %s", self.folder)
        return self.best.result

    def _emit_start(self) -> None:
        num_samples = self.train_loader.num_samples
        values = {
            "epoch": self.position.epoch,
            "epochs": self.recipe.epochs,
            "steps_per_epoch": len(self.train_loader),
            "samples": num_samples,
        }
        self.emit(Event("resume" if self.resumed else "start", values))
        logger.info("train %s on %d clips", describe_model(self.model), num_samples)
        if self.frozen.layers:
            logger.info("freeze: everything up to %s stays as it is", self.recipe.freeze)

    def _run_epochs(self, batches: Batches) -> None:
        position = self.position
        while (
            position.epoch < self.recipe.epochs
            and self._steps_left() > 0
            and self._stop_reason is None
        ):
            with self._located():
                if self._train_epoch(batches):
                    self._end_epoch()
                else:
                    self._share_and_check()
                    self._save()
        if self._stop_reason is not None:
            logger.info("%s", self._stop_reason)
        if position.step:
            logger.info(
                "stopped after step %d of %d of epoch %d; a resumed run goes on there",
                position.step, position.steps_per_epoch, position.epoch + 1,
            )  # fmt: skip

    def _train_epoch(self, batches: Batches) -> bool:
        """Take the steps of an epoch; return False if the training was stopped inside it."""
        position, num_steps = self.position, self.position.steps_per_epoch
        first, epoch = position.step, position.epoch
        self.frozen.train_rest()
        paddle.seed(device_seed(self.recipe.seed, epoch, 0, rank()))
        self.last_step = min(num_steps, first + self._steps_left())
        self.meter.begin()
        for hook in self.hooks:
            hook.on_epoch_start(self)
        timed = self.meter.timed(islice(batches, self.last_step - first))
        for step, batch in enumerate(timed, start=first):
            updated = self._take_step(epoch, step, batch)
            if self._save_wanted and updated and step + 1 < self.last_step:
                if self._stop_reason is not None:
                    return False
                self._share_and_check()
                self._save()
        return True

    def _take_step(self, epoch: int, step: int, batch: dict[str, Tensor]) -> bool:
        """Take one step; return whether the weights moved."""
        num_steps = self.position.steps_per_epoch
        rate = self.schedule.rate(epoch, step, num_steps)
        self._at = (epoch, step, rate)
        group_size, update = group_of(step, self.last_step, self.group_size)
        result = self.step(batch, rate, group_size, update)
        self.position.advance()
        self.meter.add(result, batch["label"], rate)
        if self.meter.due(step, num_steps):
            values = {"epoch": epoch + 1, "step": step, **self.meter.read()}
            self._emit_train("train", values)
        end = StepEnd(batch, result, rate, update)
        for hook in self.hooks:
            hook.on_step_end(self, end)
        return update

    def _emit_train(self, kind: str, values: dict[str, float]) -> None:
        if not math.isfinite(values["loss"]):
            raise NonFiniteError(f"the loss is {values['loss']}")
        epochs, num_steps = self.recipe.epochs - self._at[0], self.position.steps_per_epoch
        self.emit(Event(kind, values, self.meter.pace(epochs * num_steps)))

    def _end_epoch(self) -> None:
        """Validate and save, where it is time."""
        done = self.position.epochs_begun
        self._emit_train("train_epoch", {"epoch": done, **self.meter.summary()})
        if self.position.step == 0:
            self.meter.reset()
        for hook in self.hooks:
            hook.on_epoch_end(self)
        last = done == self.recipe.epochs or self._steps_left() == 0
        validate = self.valid_loader is not None and (last or done % self.recipe.val_interval == 0)
        if last or done % self.recipe.save_interval == 0:
            self.ask_to_save()
        if validate or self._save_wanted:
            self._share_and_check()
        if validate:
            self._validate(done)
        if self._save_wanted:
            self._save()

    def _share_and_check(self) -> None:
        """Give every process the mean of all running statistics; raise unless all is finite.

        In every process, so that none waits for one that has stopped.
        """
        average_in_place(self.frozen.moving_statistics())
        self.checkpoints.check_finite(self.parts)

    def _validate(self, done: int) -> None:
        if self.valid_loader is None:
            return
        result = evaluate(self.model, self.valid_loader, self.metric, f"valid {done}")
        self.emit(Event("valid", {"epoch": done, "headline": self.metric.headline, **result}))
        for hook in self.hooks:
            hook.on_validation_end(self, result)

    def _save(self) -> None:
        self._save_wanted = False
        if is_main():
            self.checkpoints.save(self.position.epochs_begun, self.parts)
        barrier()

    @contextlib.contextmanager
    def _located(self) -> Iterator[None]:
        """Add to a divergence where it was, what to do, and what is left."""
        try:
            yield
        except NonFiniteError as error:
            good = self.checkpoints.last_good()
            left = f"the last good weights are {good}" if good else "no weights were saved"
            epoch, step, rate = self._at
            raise NonFiniteError(
                f"{error}: epoch {epoch + 1}, step {step}, learning rate {rate:.3g}. Lower the "
                f"learning rate or warm up longer; {left}"
            ) from None

    def _resume(self) -> None:
        """Restore the checkpoint that the recipe names."""
        epoch = self.recipe.resume_epoch
        if epoch == "latest":
            epoch = self.checkpoints.newest_valid()
        if not epoch:
            return
        self.checkpoints.load(epoch, self.parts)
        self.resumed = True
        if self.position.step:
            logger.info("resumed in epoch %d, before step %d", epoch, self.position.step)
        else:
            logger.info("resumed after epoch %d", epoch)

    def _steps_left(self) -> int:
        """Steps until ``max_iters``; without it, more than there are."""
        most = sys.maxsize if self.max_iters is None else self.max_iters
        return max(0, most - self.position.iterations)


def _parts_among(hooks: Sequence[Hook]) -> dict[str, Stateful]:
    """Those hooks that have a state, by the name of their class."""
    parts: dict[str, Stateful] = {}
    for hook in hooks:
        name = type(hook).__name__
        if name in parts:
            raise ConfigError(f"HOOKS: {name} is listed twice, and it has a state")
        if isinstance(hook, Stateful):
            parts[name] = hook
    return parts


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
