"""Something-Something v2: ``...-labels.json`` and ``...-train.json`` and so on.

Labels map a template without brackets to a number; an entry has an ``id``, after which its video is
called, and its ``template`` with the objects in brackets.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from paddlevideo.apps.prepare.annotations import (
    Annotated,
    Annotations,
    files_named,
    split_of_file,
)
from paddlevideo.utils.errors import DataError, shown
from paddlevideo.utils.text_files import read_json


def read_something_something(paths: Sequence[Path], fold: int) -> Annotations:
    """Read the annotations.

    Args:
        fold: there is only one, 1.

    Raises:
        DataError: a file is missing or of another form.
    """
    files = files_named(paths, "*.json", "labels.json, train.json, validation.json")
    labels = [path for path in files if path.stem.lower().endswith("labels")]
    if not labels:
        raise DataError("--annotations: there is no file ...labels.json, which numbers the classes")
    class_names = _class_names(labels[0])
    samples: list[Annotated] = []
    without_label: Counter[str] = Counter()
    for path in files:
        split = split_of_file(path)
        if path in labels or split is None or "answers" in path.stem.lower():
            continue
        found, missing = _samples(path, split, set(class_names))
        samples += found
        without_label[split] += missing
    if not samples:
        raise DataError("--annotations: no file tells of a split with labels, such as train.json")
    return Annotations(class_names, samples, {k: n for k, n in without_label.items() if n})


def _class_names(path: Path) -> list[str]:
    content = read_json(path, f"annotation file {path}", DataError, "list_bytes")
    try:
        by_number = {int(number): str(name) for name, number in content.items()}
    except (AttributeError, TypeError, ValueError):
        raise DataError(f'{path}: expected {{"name of a class": "its number", ...}}') from None
    if sorted(by_number) != list(range(len(content))):
        raise DataError(f"{path}: classes must be numbered from 0 without a gap")
    return [by_number[number] for number in sorted(by_number)]


def _samples(path: Path, split: str, known: set[str]) -> tuple[list[Annotated], int]:
    content = read_json(path, f"annotation file {path}", DataError, "list_bytes")
    if not isinstance(content, list):
        raise DataError(f"{path}: expected a list of videos")
    samples: list[Annotated] = []
    missing = 0
    for number, entry in enumerate(content):
        where = f"{path}: entry {number}"
        if not isinstance(entry, dict) or "id" not in entry:
            raise DataError(f'{where}: expected {{"id", "template", ...}}, got {shown(entry)}')
        template = str(entry.get("template", "")).replace("[", "").replace("]", "")
        if not template:
            missing += 1
            continue
        if template not in known:
            raise DataError(f"{where}: the labels have no class {shown(template)}")
        samples.append(Annotated((str(entry["id"]),), template, split, where))
    return samples, missing
