"""A training tried out: a few steps of the real loop with all that follows, and the whole plan.

Everything is written to a temporary folder; nothing is left in the run's.
"""

import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle

from paddlevideo.apps.recipes import Weights, open_model, prepared_model
from paddlevideo.apps.run_plan import Measured, RunPlan
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.modeling.distributed import world_size
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.tasks.build import build_loader, build_split
from paddlevideo.tasks.class_names import class_names
from paddlevideo.tasks.hooks import Event, Hook, StepEnd, Training
from paddlevideo.tasks.recipe import SPLITS, Recipe
from paddlevideo.tasks.run_identity import check_start
from paddlevideo.tasks.step import Precision
from paddlevideo.tasks.train import Trainer
from paddlevideo.utils.errors import ConfigError, DeviceError, WeightsError
from paddlevideo.utils.logging import setup_logging
from paddlevideo.utils.memory import peak_resident_bytes
from paddlevideo.weights import model_arrays

logger = logging.getLogger(__name__)

_BEGUN_ANEW = {"resume": None, "resume_epoch": 0, "resume_anyway": False, "overwrite": False}

_CLIP_AXES = 5  # [B, T, C, H, W]
_STEPS = 3  # the first one compiles: the time of a step is that of the others


def dry_run(
    recipe: Recipe,
    weights: Weights | None,
    validate: bool,
    precision: Precision | None = None,
) -> RunPlan:
    """Try a training: steps, a validation batch, a checkpoint read back, an export that is proved.

    Args:
        weights, validate, precision: as of the training (`apps.training.train_recipe`).

    Raises:
        PaddleVideoError: the first thing that does not work.
    """
    if world_size() > 1:
        raise DeviceError("--dry-run tries the training in one process; leave the launcher out")
    free = _free_bytes(recipe.run_folder)
    check_start(recipe)
    with _temporary_folder(recipe) as folder:
        tried = recipe.model_copy(update={**_BEGUN_ANEW, "output_dir": str(folder / "run")})
        model = prepared_model(tried, weights or recipe.weights, initial=True)
        logger.info("a trial of %d steps; nothing of it is kept", _STEPS)
        watch = _Watch()
        with _memory_errors(recipe):
            trainer = Trainer(tried, model, validate, precision, _STEPS, [watch])
            whole = replace(trainer.length, max_steps=None)
            counts = _counts(tried, trainer)
            if validate:
                _leave_one_batch(trainer, tried)
            trainer.run()
        measured = watch.measured(trainer.folder)
        plan = RunPlan(recipe, trainer, whole, counts, measured, free)
        plan.check_room()
        _read_back(tried, trainer, precision)
        _export(tried, model, folder)
    return plan


@contextlib.contextmanager
def _temporary_folder(recipe: Recipe) -> Iterator[Path]:
    """A folder that is gone at the end, with the log file in it closed."""
    with tempfile.TemporaryDirectory(prefix="paddlevideo_dry_run_") as folder:
        try:
            yield Path(folder)
        finally:
            setup_logging(recipe.log_level)


@contextlib.contextmanager
def _memory_errors(recipe: Recipe) -> Iterator[None]:
    """One message where a batch does not fit; Paddle raises Python's own error then."""
    try:
        yield
    except MemoryError:
        size = recipe.DATASET.batch_size if recipe.DATASET else 0
        raise DeviceError(
            f"a step with DATASET.batch_size {size} needs more memory than the device has; lower "
            "it, or set MODEL.backbone.recompute: true"
        ) from None


def _free_bytes(folder: Path) -> int:
    """Room for the run's files.

    Raises:
        ConfigError: they cannot be written there.
    """
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise ConfigError(f"output_dir: {folder} cannot be made: {existing} is a file")
    try:
        with tempfile.TemporaryFile(dir=existing):
            return shutil.disk_usage(existing).free
    except OSError as error:
        raise ConfigError(
            f"output_dir: {existing} cannot be written to: {error.strerror}"
        ) from None


def _counts(recipe: Recipe, trainer: Trainer) -> dict[str, int]:
    """Samples of each split; a list that cannot be used is reported here."""
    section = recipe.DATASET
    others = [split for split in SPLITS[1:] if section is not None and section.of(split)]
    counts = {split: len(build_split(recipe, split)) for split in others}
    return {SPLITS[0]: trainer.train_loader.num_samples, **counts}


def _leave_one_batch(trainer: Trainer, recipe: Recipe) -> None:
    """Let the trainer validate on one batch; that every file is there was checked."""
    dataset = build_split(recipe, "valid")
    size = recipe.DATASET.batch_size_of("valid") if recipe.DATASET else 1
    dataset.keep(range(min(size, len(dataset))))
    trainer.valid_loader = build_loader(recipe, "valid", dataset, trainer.model.num_classes)


def _read_back(recipe: Recipe, trainer: Trainer, precision: Precision | None) -> None:
    """Resume as a second process would; the weights must be the same."""
    again = open_model(recipe, None)
    resuming = recipe.model_copy(update={"resume": "auto"})
    resumed = Trainer(resuming, again, precision=precision, max_iters=_STEPS)
    resumed.run()
    expected, found = model_arrays(trainer.model), model_arrays(again)
    if not resumed.resumed or resumed.position.iterations != trainer.position.iterations:
        raise WeightsError("the checkpoint that was just written is not found again")
    for name, array in expected.items():
        if not np.array_equal(array, found[name]):
            raise WeightsError(f"the checkpoint that was just written has another {name}")


def _export(recipe: Recipe, model: Recognizer, folder: Path) -> None:
    model.eval()
    export_model(
        model,
        recipe.inference_description(),
        folder / "bundle",
        recipe.model_name,
        class_names(recipe, model.num_classes),
        ExportOptions(verify=True),
        recipe.PIPELINE.train,
    )


class _Watch(Hook):
    """Times the steps and the batch of the validation, and sees what memory they took."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.validation: list[float] = []
        self.clips: dict[str, list[int]] = {}
        self.memory: int | None = None
        self._mark = time.monotonic()

    def on_epoch_start(self, training: Training) -> None:
        self._mark = time.monotonic()

    def on_step_end(self, training: Training, step: StepEnd) -> None:
        self.steps.append(self._since_mark())
        self.clips = {n: list(t.shape) for n, t in step.batch.items() if len(t.shape) == _CLIP_AXES}

    def on_event(self, event: Event) -> None:
        if event.kind == "valid":
            self.validation.append(event.values["seconds"])

    def on_train_end(self, training: Training) -> None:
        is_gpu = paddle.get_device().startswith("gpu")
        peak = paddle.device.cuda.max_memory_allocated() if is_gpu else peak_resident_bytes()
        self.memory = peak

    def measured(self, folder: Path) -> Measured:
        """What the plan needs of it.

        Args:
            folder: of the run, with its checkpoint.
        """
        weights = [path.stat().st_size for path in folder.glob("*.pdparams")]
        states = [path.stat().st_size for path in folder.glob("*.state/*") if path.is_file()]
        return Measured(
            clips=self.clips,
            step_seconds=min(self.steps[1:] or self.steps),
            validation_batch_seconds=min(self.validation, default=0.0),
            memory_bytes=self.memory,
            weight_bytes=max(weights, default=0),
            state_bytes=sum(states),
        )

    def _since_mark(self) -> float:
        before, self._mark = self._mark, time.monotonic()
        return self._mark - before
