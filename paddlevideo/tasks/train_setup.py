"""What a training is made of, built from a recipe: data, metric, schedule, optimizer, step."""

from dataclasses import dataclass
from pathlib import Path

from paddle import nn

from paddlevideo.loader import ClipLoader
from paddlevideo.metrics import METRICS, Metric
from paddlevideo.modeling.distributed import world_size
from paddlevideo.modeling.losses import give_class_counts
from paddlevideo.solver import Schedule, build_optimizer, build_schedule, create_state
from paddlevideo.tasks.agreement import Agreement
from paddlevideo.tasks.build import build_loader, build_split
from paddlevideo.tasks.class_names import class_names
from paddlevideo.tasks.distill import DistilledLoss, Teacher
from paddlevideo.tasks.freeze import FrozenStages
from paddlevideo.tasks.global_batch import global_batch_size
from paddlevideo.tasks.guards import Guards, Samples
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.schedule_length import warn_of_another_length
from paddlevideo.tasks.step import Precision, TrainStep
from paddlevideo.tasks.synchronise import synchronise_batch_norm
from paddlevideo.utils.errors import ConfigError


@dataclass(frozen=True)
class TrainSetup:
    """The objects of one training.

    Attributes:
        frozen: the part of the model that stays as it is.
        train_loader, valid_loader: the data; None: there is no validation.
        metric: of the validation, and of the lines of training.
        schedule: learning rate by epoch and step.
        step: forward, backward and update.
        guards: judge every step, and agree among the processes.
        group_size: batches per update.
    """

    frozen: FrozenStages
    train_loader: ClipLoader
    valid_loader: ClipLoader | None
    metric: Metric
    schedule: Schedule
    step: TrainStep
    guards: Guards
    group_size: int


def set_up_training(
    recipe: Recipe,
    model: nn.Layer,
    validate: bool,
    precision: Precision,
    bad_samples: Path,
    teacher: Teacher | None = None,
) -> TrainSetup:
    """Build what a recipe describes.

    Args:
        bad_samples: file for the samples that cannot be read.
        teacher: of DISTILL.

    Raises:
        ConfigError, DataError: the recipe or its data cannot be trained on.
    """
    if recipe.OPTIMIZER is None:
        raise ConfigError("the section OPTIMIZER is missing")
    if recipe.sync_batch_norm:
        synchronise_batch_norm(model)
    if recipe.patience is not None and not validate:
        raise ConfigError("patience counts validations, and there are none: add --validate")
    frozen = FrozenStages(model, recipe.freeze, recipe.FREEZE)
    class_names(recipe, model.num_classes)  # as many names as classes, or an error
    train_set = build_split(recipe, "train", bad_samples)
    train_loader = build_loader(recipe, "train", train_set, model.num_classes)
    give_class_counts(model, train_loader.class_counts(model.num_classes))
    valid_loader = _validation_loader(recipe, model.num_classes) if validate else None
    metric = METRICS.build(recipe.METRIC, "METRIC")
    warn_of_another_length(recipe.OPTIMIZER["learning_rate"], recipe.epochs)
    metric.check_classes(model.num_classes)
    schedule = build_schedule(
        recipe.OPTIMIZER["learning_rate"], "OPTIMIZER.learning_rate", global_batch_size(recipe)
    )
    optimizer = build_optimizer(recipe.OPTIMIZER, model, "OPTIMIZER")
    guards = Guards(Agreement(), _samples(recipe, train_loader, bad_samples))
    objective = None
    if recipe.DISTILL is not None and teacher is not None:
        objective = DistilledLoss(model, teacher, recipe.DISTILL)
    step = TrainStep(
        model, optimizer, precision, guards, objective=objective, parts_rest=bool(recipe.FREEZE)
    )
    if recipe.FREEZE:
        create_state(step.optimizer)
    return TrainSetup(
        frozen, train_loader, valid_loader, metric, schedule, step, guards, _group_size(recipe)
    )


def _samples(recipe: Recipe, loader: ClipLoader, bad_samples: Path) -> Samples:
    """What the guards know of the data."""
    records = loader.dataset.records
    return Samples(
        lambda indices: [records[index].path for index in indices],
        len(loader) * loader.batch_size * world_size(),
        recipe.DATASET.max_bad_share if recipe.DATASET else 1.0,
        str(bad_samples),
    )


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
