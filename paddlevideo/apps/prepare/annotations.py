"""What the annotations of a data set say: which videos there are, of which class and split."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paddlevideo.utils.errors import DataError, shown
from paddlevideo.utils.text_files import read_text

TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)
_SPLIT_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validate": VAL,
    "validation": VAL,
    "test": TEST,
    "testing": TEST,
}


@dataclass(frozen=True)
class Annotated:
    """One sample.

    Attributes:
        names: file names without their extension under which its video is looked for, best first.
        label: its class.
        split: ``train``, ``val`` or ``test``.
        where: the file and line that lists it.
        hints: names of folders that its video probably lies in, such as its class.
        window_seconds: begin and end within the video; None: all of it.
    """

    names: tuple[str, ...]
    label: str
    split: str
    where: str
    hints: tuple[str, ...] = ()
    window_seconds: tuple[float, float] | None = None


@dataclass
class Annotations:
    """All of a data set.

    Attributes:
        class_names: the number of a class is its index.
        samples: in the order of the files.
        without_label: samples of each split that have none (a test split whose labels are kept
            back) and are left out.
    """

    class_names: list[str]
    samples: list[Annotated]
    without_label: dict[str, int] = field(default_factory=dict)


Reader = Callable[[Sequence[Path], int], Annotations]
"""Reads the annotation files of a data set; the second argument is the number of the fold."""


def split_of(word: str) -> str | None:
    """The split that a word of an annotation or of a file's name means; None: it means none."""
    return _SPLIT_NAMES.get(word.strip().lower())


def split_of_file(path: Path) -> str | None:
    """The split that a file's name tells, as ``kinetics_val.csv`` does."""
    words = path.stem.lower().replace("-", "_").split("_")
    found = {split for word in words if (split := split_of(word)) is not None}
    return found.pop() if len(found) == 1 else None


def annotation_text(path: Path) -> str:
    """The text of an annotation file.

    Raises:
        DataError: it cannot be read.
    """
    return read_text(path, f"annotation file {path}", DataError, "list_bytes")


def csv_rows(path: Path, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (file and line, fields by the name of their column) of a CSV file with a header.

    Raises:
        DataError: it cannot be read, or lacks a column.
    """
    reader = csv.DictReader(io.StringIO(annotation_text(path)), strict=True)
    try:
        missing = [name for name in required if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(
                f"{path}:1: there is no column {missing[0]}; the columns are "
                f"{shown(reader.fieldnames)}"
            )
        for row in reader:
            yield f"{path}:{reader.line_num}", {k: v or "" for k, v in row.items() if k}
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is not CSV: {error}") from None


def files_named(paths: Sequence[Path], pattern: str, what: str) -> list[Path]:
    """The annotation files among ``paths``: files as they are, of folders those of a pattern.

    Raises:
        DataError: there is none.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob(pattern)) if path.is_dir() else [path]
    if not files:
        folders = ", ".join(map(str, paths))
        raise DataError(f"--annotations: {folders} holds no file {pattern}; expected {what}")
    return files


def sorted_names(samples: Sequence[Annotated]) -> list[str]:
    """The class names of a data set that numbers its classes by their sorted names.

    Raises:
        DataError: there are no samples.
    """
    names = sorted({sample.label for sample in samples})
    if not names:
        raise DataError("--annotations: the files list no sample with a label")
    return names
