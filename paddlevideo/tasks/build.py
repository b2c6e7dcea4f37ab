"""Build what a recipe describes: data sets and their loaders."""

from pathlib import Path

from paddle import nn

from paddlevideo.loader import ClipDataset, ClipLoader, Patience, build_dataset
from paddlevideo.modeling.distributed import rank, world_size
from paddlevideo.tasks.class_names import numbering_of_split
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.utils.errors import ConfigError


def build_split(
    recipe: Recipe,
    split: str,
    bad_samples: Path | None = None,
    weights: object = None,
    training: bool | None = None,
) -> ClipDataset:
    """Build the data set of ``train``, ``valid`` or ``test`` with its pipeline.

    Args:
        bad_samples: file for the samples that cannot be read.
        weights: the file that is tested; its run may have recorded how classes are numbered.
        training: whether it is read for training; by default ``train`` is.

    Raises:
        ConfigError: the recipe has no such split.
        DataError: the list or folder cannot be used.
    """
    node = recipe.DATASET.of(split) if recipe.DATASET else None
    description = recipe.PIPELINE.of(split)
    if node is None or description is None:
        section = "DATASET" if node is None else "PIPELINE"
        raise ConfigError(f"{section}.{split} is missing in the config")
    numbering = numbering_of_split(recipe, split, weights)
    return build_dataset(
        node,
        description,
        where=f"DATASET.{split}",
        pipeline_where=f"PIPELINE.{split}",
        training=split == "train" if training is None else training,
        seed=recipe.seed,
        bad_samples_path=bad_samples,
        class_names=None if numbering is None else numbering.names,
        class_names_source="" if numbering is None else numbering.source,
    )


def build_loader(recipe: Recipe, split: str, dataset: ClipDataset, num_classes: int) -> ClipLoader:
    """Build the loader of a split; every label is checked against the model's classes first."""
    dataset.check_labels(num_classes)
    section = recipe.DATASET
    if section is None:
        raise ConfigError("the section DATASET is missing")
    return ClipLoader(
        dataset,
        batch_size=section.batch_size_of(split),
        num_workers=section.num_workers_of(split),
        training=split == "train",
        shuffle=True if split == "valid" and section.shuffle_valid else None,
        seed=recipe.seed,
        rank=rank(),
        world_size=world_size(),
        on_unreadable=section.on_unreadable,
        patience=Patience(section.worker_warn_seconds, section.worker_timeout),
    )


def describe_model(model: nn.Layer) -> str:
    """One line about the model for the log."""
    count = sum(p.size for p in model.parameters() if not p.stop_gradient)
    return f"{model.architecture}, {model.num_classes} classes, {count:,} trainable parameters"
