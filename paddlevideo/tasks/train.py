"""The training loop. It knows recipes, recognizers, parts and hooks, and no model's name."""

import contextlib
import dataclasses
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import paddle
from paddle import Tensor, nn

from paddlevideo.modeling.distributed import (
    all_reduce_sum,
    average_in_place,
    barrier,
    is_main,
    rank,
    world_size,
)
from paddlevideo.tasks.agreement import Stopped
from paddlevideo.tasks.best import BestResult, EarlyStop
from paddlevideo.tasks.build import describe_model
from paddlevideo.tasks.class_names import check_record, record_class_names
from paddlevideo.tasks.differences import config_of, samples_digest
from paddlevideo.tasks.distill import Teacher
from paddlevideo.tasks.evaluate import evaluate
from paddlevideo.tasks.hooks import HOOKS, Event, Hook, StepEnd
from paddlevideo.tasks.methods import methods_of
from paddlevideo.tasks.parts import ModelPart, OptimizerPart, ScalerPart
from paddlevideo.tasks.position import Position
from paddlevideo.tasks.precision import precision_of
from paddlevideo.tasks.quantize_aware import QuantizationSchedule
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.restore_statistics import restore_folded
from paddlevideo.tasks.run_files import RunFiles
from paddlevideo.tasks.run_folder import BAD_SAMPLES_NAME, make_run_folder, save_training_record
from paddlevideo.tasks.run_length import RunLength
from paddlevideo.tasks.run_part import RunFacts, RunPart
from paddlevideo.tasks.same_start import SameStart
from paddlevideo.tasks.save_every import SaveEvery
from paddlevideo.tasks.saved_state import MODEL, OPTIMIZER
from paddlevideo.tasks.stateful import Stateful
from paddlevideo.tasks.statistics_part import StatisticsPart
from paddlevideo.tasks.step import Precision, group_of
from paddlevideo.tasks.time_left import TimeLeft
from paddlevideo.tasks.train_meter import TrainMeter
from paddlevideo.tasks.train_setup import set_up_training
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
        precision: mixed precision; by default that of the recipe.
        max_iters: stop after this many steps in total.
        hooks: more of them, beside those that the recipe lists.
        teacher: of DISTILL.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Layer,
        validate: bool = False,
        precision: Precision | None = None,
        max_iters: int | None = None,
        hooks: Sequence[Hook] = (),
        teacher: Teacher | None = None,
    ) -> None:
        self.recipe = recipe
        self.model = model
        self.max_iters = max_iters
        self.precision = precision or precision_of(recipe.AMP)
        self.folder = make_run_folder(recipe)
        bad_samples = self.folder / BAD_SAMPLES_NAME
        setup = set_up_training(recipe, model, validate, self.precision, bad_samples, teacher)
        self.frozen, self.metric, self.step = setup.frozen, setup.metric, setup.step
        self.train_loader, self.valid_loader = setup.train_loader, setup.valid_loader
        self.schedule, self.group_size = setup.schedule, setup.group_size
        self.mixing = recipe.build_mixing()
        self.guards, self.agreement = setup.guards, setup.guards.agreement
        self.files = RunFiles(recipe, self.folder)
        self.position = Position(len(self.train_loader))
        self.last_step = len(self.train_loader)
        self.meter = TrainMeter(recipe.log_interval, self.metric)
        self.length = RunLength(
            len(self.train_loader), recipe.epochs, max_iters, recipe.val_interval,
            0 if self.valid_loader is None else len(self.valid_loader),
        )  # fmt: skip
        self.time_left = TimeLeft(self.length)
        self.best = BestResult()
        self.metrics_writer = MetricsWriter(self.folder)
        listed = [HOOKS.build(node, f"HOOKS[{i}]") for i, node in enumerate(recipe.HOOKS)]
        added = [*listed, *hooks]
        methods = methods_of(recipe, model, self.precision, teacher)
        self.hooks = [*self._own_hooks(), *methods.hooks, *added]
        parts = {**self._own_parts(), **methods.parts, **_parts_among(added)}
        self.parts: Mapping[str, Stateful] = parts
        self.resumed = False
        self._at = (0, 0, 0.0)  # epoch, step and learning rate of the newest step

    def _own_hooks(self) -> list[Hook]:
        alike = SameStart({"train": self.train_loader, "valid": self.valid_loader})
        hooks = [
            alike, self.time_left, self.best, self.metrics_writer, LogLines(self.recipe.epochs),
            ProgressBar(self.time_left),
        ]  # fmt: skip
        if self.recipe.save_every is not None:
            hooks.append(SaveEvery(self.recipe.save_every))
        if self.recipe.QUANTIZE is not None:
            hooks.append(QuantizationSchedule(self.recipe.QUANTIZE, self.recipe.epochs))
        if self.recipe.patience is not None:
            hooks.append(EarlyStop(self.best, self.recipe.patience))
        return hooks

    def _own_parts(self) -> dict[str, Stateful]:
        recipe = self.recipe
        facts = RunFacts(
            seed=recipe.seed,
            freeze=recipe.freeze,
            processes=world_size(),
            samples=samples_digest(self.train_loader.dataset),
            precision=self.precision.title,
            config=config_of(recipe),
        )
        return {
            MODEL: ModelPart(self.model),
            OPTIMIZER: OptimizerPart(self.step.optimizer, self.model),
            "scaler": ScalerPart(self.step.scaler),
            "position": self.position,
            "meters": self.meter,
            "guards": self.guards,
            "best": self.best,
            "run": RunPart(facts, recipe.resume_anyway),
            "statistics": StatisticsPart(self.frozen.statistics),
        }

    def emit(self, event: Event) -> None:
        """Give an event to every hook."""
        event = dataclasses.replace(event, iterations=self.position.iterations)
        for hook in self.hooks:
            hook.on_event(event)

    def ask_to_save(self) -> None:
        """Have the state saved as soon as it is whole; asked for in any process."""
        self.agreement.ask_to_save()

    def stop(self, reason: str) -> None:
        """Have the training saved and ended; asked for in any process."""
        self.agreement.ask_to_stop(reason)

    def save_best(self, result: Mapping[str, float]) -> None:
        """Save the weights as the best ones, with their result."""
        self._check_finite({MODEL: self.parts[MODEL]})
        if is_main():
            self.files.save_best(self.parts[MODEL], result)

    def run(self) -> dict[str, float]:
        """Train to the end; return the best validation result (empty without validation)."""
        with self.files.held():
            self._begin()
            self._emit_start()
            with contextlib.ExitStack() as ends:
                for hook in self.hooks:
                    ends.callback(hook.on_train_end, self)
                    hook.on_train_start(self)
                if self._resumed_before_validation():
                    with self._located():
                        self._validate_saved()
                self._run_epochs()
            self.files.finish()
        if self.agreement.stop is None or not self.agreement.stop.signal:
            logger.info("training finished: %s", self.folder)
        return self.best.result

    def _begin(self) -> None:
        """Resume, or begin anew; and write down what is trained."""
        self.resumed = self.files.resume(self.parts, self.position)
        if self.resumed:
            self.best.take_better(self.files.best_result(), self.metric)
            check_record(self.recipe)
        else:
            restore_folded(self.model, self.train_loader)
        self.metrics_writer.log.run = self.files.run
        save_training_record(self.recipe)
        if is_main():
            record_class_names(self.recipe)

    def _resumed_before_validation(self) -> bool:
        """Whether the saved epoch is to be validated first; one cut by max_iters goes on."""
        if not self.position.validation_pending:
            return False
        return self.position.step == 0 or self._steps_left() == 0

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

    def _run_epochs(self) -> None:
        position = self.position
        batches = self.train_loader.epochs(position.epoch, self.recipe.epochs, position.step)
        with contextlib.closing(batches), self._located():
            while (
                position.epoch < self.recipe.epochs
                and self._steps_left() > 0
                and self.agreement.stop is None
            ):
                if self._train_epoch(batches):
                    self._end_epoch()
                elif self._is_whole():
                    self._save()
                else:
                    logger.warning("not saved: data did not come in the middle of a group")
        if self.agreement.stop is not None:
            logger.info("%s", self.agreement.stop.reason)
        if position.step:
            logger.info(
                "stopped after step %d of %d of epoch %d; a resumed run goes on there",
                position.step, position.steps_per_epoch, position.epoch + 1,
            )  # fmt: skip

    def _train_epoch(self, batches: Batches) -> bool:
        """Take the steps of an epoch; return False if the training was stopped inside it."""
        position, num_steps = self.position, self.position.steps_per_epoch
        first, epoch = position.step, position.epoch
        self.frozen.train_rest(epoch)
        self.last_step = min(num_steps, first + self._steps_left())
        self.meter.begin()
        for hook in self.hooks:
            hook.on_epoch_start(self)
        timed = self.meter.timed(islice(batches, self.last_step - first))
        step = first
        for batch in self.agreement.batches(timed, self._is_whole):
            if self.agreement.save and self._is_whole():
                self._save()
            self._take_step(epoch, step, batch)
            step += 1
        return step == self.last_step

    def _is_whole(self) -> bool:
        """Whether no group of batches is under way: only then a state holds everything."""
        return self.position.step % self.group_size == 0

    def _take_step(self, epoch: int, step: int, batch: dict[str, Tensor]) -> None:
        num_steps = self.position.steps_per_epoch
        rate = self.schedule.rate(epoch, step, num_steps)
        self._at = (epoch, step, rate)
        batch = self.mixing(batch, epoch, step)
        group_size, update = group_of(step, self.last_step, self.group_size)
        # Of each step, so that one after a resume draws what it would have drawn.
        paddle.seed(device_seed(self.recipe.seed, epoch, step, rank()))
        result = self.step(batch, rate, group_size, update)
        self.position.advance()
        self.meter.add(result, batch["label"], rate, self.guards.skipped)
        if self.meter.due(step, num_steps):
            values = {"epoch": epoch + 1, "step": step, **self.meter.read()}
            left = self.time_left.seconds(self.position.iterations)
            self.emit(Event("train", {**values, "seconds_left": left}))
        end = StepEnd(batch, result, rate, update)
        for hook in self.hooks:
            hook.on_step_end(self, end)
        self.files.check()

    def _end_epoch(self) -> None:
        """Save, then validate, where it is time: a validation that fails costs no epoch."""
        position, recipe = self.position, self.recipe
        done = position.epochs_begun
        counts = self.guards.summary()
        self.emit(Event("train_epoch", {"epoch": done, **self.meter.summary(), **counts}))
        if position.step == 0:
            self.meter.reset()
            self.guards.reset()
            # At each end, so that it does not depend on when is saved or validated.
            average_in_place(self.frozen.moving_statistics())
        for hook in self.hooks:
            hook.on_epoch_end(self)
        last = done == recipe.epochs or self._steps_left() == 0
        due = last or done % recipe.val_interval == 0
        position.validation_pending = self.valid_loader is not None and due
        weights = last or done % recipe.save_interval == 0
        self.agreement.reach()
        stops = self.agreement.stop is not None
        if weights or position.validation_pending or self.agreement.save or stops:
            self._save(weights)
        if position.validation_pending and not stops:
            self._validate_saved()

    def _validate_saved(self) -> None:
        """Validate what was saved; where no step follows, save that this is done."""
        try:
            self._validate()
        except Stopped:
            logger.info("the validation was broken off; a resumed run begins with it")
            return
        self.agreement.reach()
        asked = self.agreement.save or self.agreement.stop is not None
        ends = self.position.epoch == self.recipe.epochs or asked
        if ends and self.position.step == 0:
            self._save(weights=True)

    def _validate(self) -> None:
        """Validate with the weights that a hook may provide; what is saved as best is those."""
        position = self.position
        if self.valid_loader is None:
            position.validation_pending = False
            return
        done = position.epochs_begun
        start = time.monotonic()
        with contextlib.ExitStack() as weights:
            for hook in self.hooks:
                weights.enter_context(hook.evaluation_weights(self))
            with self.precision.autocast():
                result = evaluate(
                    *(self.model, self.valid_loader, self.metric, f"valid {done}"),
                    on_batch=self._on_validation_batch,
                    agreement=self.agreement,
                )
            position.validation_pending = False
            for hook in self.hooks:
                hook.on_validation_end(self, result)
        values = {"epoch": done, "headline": self.metric.headline, **result}
        self.emit(Event("valid", {**values, "seconds": time.monotonic() - start}))

    def _on_validation_batch(self, _logits_BN: np.ndarray, _batch: Mapping[str, Tensor]) -> None:
        for hook in self.hooks:
            hook.on_validation_batch(self)

    def _save(self, weights: bool = False) -> None:
        """Have the state written beside the training; returns when the copy is made.

        Args:
            weights: write them for users too; where an epoch is cut, with averaged statistics,
                while the state has those of each process.
        """
        self.agreement.saved()
        self._check_finite(self.parts)
        for part in self.parts.values():
            part.gather()
        position, done = self.position, self.position.epochs_begun
        is_cut = position.step > 0 and weights
        if is_main():
            epoch = done if weights and not is_cut else None
            self.files.save(position.iterations, self.parts, epoch)
        if is_cut:
            average_in_place(self.frozen.moving_statistics())
            if is_main():
                self.files.save_weights(done, self.parts[MODEL])
        barrier()  # the main process may have waited for a slow disk; a step's collectives do not

    @staticmethod
    def _check_finite(parts: Mapping[str, Stateful]) -> None:
        """Raise, in every process alike, unless the parts' tensors are finite."""
        tensors = [tensor for part in parts.values() for tensor in part.tensors()]
        floating = [tensor for tensor in tensors if tensor.is_floating_point()]
        are_finite = paddle.stack([paddle.isfinite(tensor).all() for tensor in floating])
        bad = float(all_reduce_sum(np.array([not are_finite.all().item()], np.float64))[0])
        if bad:
            raise NonFiniteError("a weight or a value of the optimizer is not finite")

    @contextlib.contextmanager
    def _located(self) -> Iterator[None]:
        """Add to a divergence where it was, what to do, and what is left."""
        try:
            yield
        except NonFiniteError as error:
            good = self.files.last_good()
            left = f"the last good weights are {good}" if good else "no weights were saved"
            epoch, step, rate = self._at
            raise NonFiniteError(
                f"{error}: epoch {epoch + 1}, step {step}, learning rate {rate:.3g}. Lower the "
                f"learning rate or warm up longer; {left}"
            ) from None

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
