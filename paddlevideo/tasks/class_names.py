"""The names of the classes, and which number each has: one numbering for a whole run.

A folder of classes that is numbered by itself shifts every label where it lacks a class. So the
names of the training data number the folders of every split. Where the training data is not at
hand, the record beside the weights does, or ``DATASET.class_names``.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.loader.dataset.build import class_folders_root, recorded_names
from paddlevideo.loader.dataset.class_folders import (
    check_named,
    check_same_numbers,
    class_folders_of,
    class_names_of,
    same_form,
    stated_class_names,
)
from paddlevideo.runtime.bundle import read_bundle
from paddlevideo.tasks.recipe import SPLITS, DatasetSection, Recipe
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import write_json

logger = logging.getLogger(__name__)

RECORD_NAME = "class_names.json"
_STATED = "DATASET.class_names"


@dataclass(frozen=True)
class ClassNumbering:
    """Names of the classes in label order, and where they come from."""

    names: list[str]
    source: str


def class_numbering(recipe: Recipe, weights: object = None) -> ClassNumbering | None:
    """What numbers the class folders of every split; None where nothing says it.

    Args:
        weights: the file that is tested or exported, beside which its run left a record.

    Raises:
        DataError: two sources number the classes differently.
    """
    section = recipe.DATASET
    if section is None:
        return None
    recorded = _recorded(weights)
    found = _of_training_folder(section) or recorded or _stated(section)
    if found is not None and recorded is not None:
        check_same_numbers(found.names, found.source, recorded.names, recorded.source)
    if found is recorded and found is not None:
        stated = _stated(section)
        if stated is not None and set(stated.names) & set(found.names):
            check_same_numbers(stated.names, stated.source, found.names, found.source)
    return found


def numbering_of_split(recipe: Recipe, split: str, weights: object = None) -> ClassNumbering | None:
    """What numbers the class folders of ``split``; None for another kind of data set.

    Raises:
        DataError: as `class_numbering`.
    """
    node = recipe.DATASET.of(split) if recipe.DATASET else None
    if class_folders_root(node) is None and recorded_names(node) is None:
        return None
    found = class_numbering(recipe, weights)
    if found is None and split != "train":
        logger.warning(
            "DATASET.%s: its classes are numbered by its own folders, and nothing tells whether "
            "the weights have the same: DATASET.train is not there, there is no %s beside the "
            "weights, and no DATASET.class_names",
            split,
            RECORD_NAME,
        )
    return found


def class_names(recipe: Recipe, num_classes: int, weights: object = None) -> list[str] | None:
    """Names of the classes for people: ``DATASET.class_names``, or those of the class folders.

    Raises:
        DataError: a file cannot be read, or the number of names is not ``num_classes``.
    """
    section = recipe.DATASET
    if section is None:
        return None
    stated, numbering = _stated(section), class_numbering(recipe, weights)
    if numbering is None:
        numbering = _of_any_folder(section)
    for found in filter(None, (stated, numbering)):
        if len(found.names) != num_classes:
            raise DataError(
                f"{found.source} names {len(found.names)} classes, the model has {num_classes}; "
                f"set num_classes of MODEL to {len(found.names)}, or mend the names"
            )
    best = stated or numbering
    return None if best is None else best.names


def record_class_names(recipe: Recipe) -> None:
    """Write the run's numbering into its folder, for a test without the training data."""
    found = class_numbering(recipe)
    path = recipe.run_folder / RECORD_NAME
    if found is None:
        path.unlink(missing_ok=True)  # that of an earlier run
    else:
        write_json(path, {"class_names": found.names})


def check_record(recipe: Recipe) -> None:
    """Raise `DataError` where the run to go on with numbered the classes differently."""
    class_numbering(recipe, recipe.run_folder / RECORD_NAME)


def _of_training_folder(section: DatasetSection) -> ClassNumbering | None:
    """The numbering of ``DATASET.train``, if it has one and is there."""
    root = class_folders_root(section.train)
    recorded = recorded_names(section.train)
    if recorded is not None:
        return ClassNumbering(recorded[0], f"DATASET.train ({recorded[1]})")
    if root is None or not root.is_dir():
        return None
    names, in_file = class_names_of(root), stated_class_names(root)
    source = f"DATASET.train ({root if in_file is None else in_file[1]})"
    stated = _stated(section)
    # Names of none of the folders are titles to show, in the folders' order.
    if stated is None or not set(stated.names) & set(names):
        return ClassNumbering(names, source)
    check_named(class_folders_of(root), stated.names, root, stated.source)
    if in_file is not None:
        check_same_numbers(stated.names, stated.source, names, source)
    return stated


def _of_any_folder(section: DatasetSection) -> ClassNumbering | None:
    """The numbering of the first split that has one and is there."""
    for split in SPLITS:
        root = class_folders_root(section.of(split))
        recorded = recorded_names(section.of(split))
        if recorded is not None:
            return ClassNumbering(recorded[0], f"DATASET.{split} ({recorded[1]})")
        if root is None:
            continue
        if root.is_dir():
            return ClassNumbering(class_names_of(root), f"DATASET.{split} ({root})")
        logger.warning("class names are not known: %s: no such folder of videos", root)
    return None


def _recorded(weights: object) -> ClassNumbering | None:
    """The record that a run left beside its weights; of a bundle its own names."""
    if not isinstance(weights, (str, Path)):
        return None
    if Path(weights).is_dir():
        labels = read_bundle(weights).manifest.labels
        names = None if labels is None else [same_form(name) for name in labels]
        return None if names is None else ClassNumbering(names, str(weights))
    path = Path(weights).parent / RECORD_NAME
    if not path.is_file():
        return None
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["class_names"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path} is no record of class names; remove it, or restore it")
    return ClassNumbering([same_form(name) for name in names], str(path))


def _stated(section: DatasetSection) -> ClassNumbering | None:
    """Names from a list, or from a file: one a line, with or without its number before it."""
    value = section.class_names
    if value is None:
        return None
    if not isinstance(value, str):
        return ClassNumbering([same_form(name) for name in value], _STATED)
    try:
        lines = Path(value).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{_STATED}: {value[:100]} cannot be read: {error}") from None
    names = [line.strip() for line in lines if line.strip()]
    numbered = [name.split(maxsplit=1) for name in names]
    if all(first[0] == str(index) for index, first in enumerate(numbered)) and names:
        names = [rest[-1].strip() if len(rest) > 1 else "" for rest in numbered]
    return ClassNumbering([same_form(name) for name in names], value)
