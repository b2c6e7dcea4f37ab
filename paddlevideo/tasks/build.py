"""Build what a recipe describes: data loaders, class names, the model's initial weights."""

import logging
from pathlib import Path
from typing import Any

from paddle import nn

from paddlevideo.loader import ClipLoader, build_dataset
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.utils.distributed import rank, world_size
from paddlevideo.utils.errors import ConfigError, DataError

logger = logging.getLogger(__name__)


def build_split(recipe: Recipe, split: str, bad_samples: Path | None = None) -> Any:
    """Build the data set of ``train``, ``valid`` or ``test`` with its pipeline.

    Raises:
        ConfigError: the recipe has no such split.
        DataError: the list or folder cannot be used.
    """
    node = getattr(recipe.DATASET, split) if recipe.DATASET else None
    description = getattr(recipe.PIPELINE, split)
    if node is None or description is None:
        section = "DATASET" if node is None else "PIPELINE"
        raise ConfigError(f"{section}.{split} is missing in the config")
    return build_dataset(
        node,
        description,
        where=f"DATASET.{split}",
        pipeline_where=f"PIPELINE.{split}",
        training=split == "train",
        seed=recipe.seed,
        bad_samples_path=bad_samples,
    )


def build_loader(recipe: Recipe, split: str, dataset: Any, num_classes: int) -> ClipLoader:
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
    )


def class_names(recipe: Recipe, num_classes: int) -> list[str] | None:
    """Names of the classes: from ``DATASET.class_names``, or from a folder of classes.

    Raises:
        DataError: the file cannot be read, or the number of names is not ``num_classes``.
    """
    section = recipe.DATASET
    if section is None:
        return None
    names, source = _named(section.class_names)
    if names is None:
        for split in ("train", "valid", "test"):
            node = getattr(section, split)
            if node is not None and node.get("format") == "FolderDataset":
                names, source = _folder_names(recipe, split), f"DATASET.{split}"
                break
    if names is not None and len(names) != num_classes:
        raise DataError(f"{source} names {len(names)} classes, the model has {num_classes}")
    return names


def _folder_names(recipe: Recipe, split: str) -> list[str] | None:
    try:
        return build_split(recipe, split).class_names
    except DataError as error:
        logger.warning("class names are not known: %s", error)
        return None


def _named(value: list[str] | str | None) -> tuple[list[str] | None, str]:
    """Names from a list, or from a file: one a line, with or without its number before it."""
    if not isinstance(value, str):
        return value, "DATASET.class_names"
    try:
        lines = Path(value).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"DATASET.class_names: {value} cannot be read: {error}") from None
    names = [line.strip() for line in lines if line.strip()]
    numbered = [name.partition(" ") for name in names]
    if all(first == str(place) for place, (first, _, _) in enumerate(numbered)):
        names = [rest.strip() for _, _, rest in numbered]
    return names, value


def describe_model(model: nn.Layer) -> str:
    """One line about the model for the log."""
    count = sum(p.size for p in model.parameters() if not p.stop_gradient)
    return f"{model.architecture}, {model.num_classes} classes, {count:,} trainable parameters"
