"""Read every listed sample of a config and say which cannot be used, before training starts.

paddlevideo check-data -c CONFIG [--split train valid test] [--output bad.jsonl]

Samples that are read, but not whole, are named too: damaged frames are left out of their clips.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.cli.config_options import add_config_options
from paddlevideo.cli.output import say
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.packages import TRAINING

if TYPE_CHECKING:
    from paddlevideo.loader.dataset.base import ClipDataset

PACKAGES = TRAINING

SPLITS = ("train", "valid", "test")  # those of `paddlevideo.tasks.recipe`, which imports Paddle
MOST_LINES = 100  # of samples on the console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo check-data``."""
    add_config_options(parser, "-o", "--override")
    parser.add_argument("--split", nargs="+", choices=SPLITS, help="default: all in the config")
    parser.add_argument(
        "--output", type=Path, help="write the samples that are unusable or lost frames, JSON lines"
    )


@dataclass
class Finding:
    """What is wrong with one sample.

    Attributes:
        reason: why it cannot be used; empty if it can be.
        frames_read, frames_lost: None where it could not be read.
    """

    where: str
    path: str
    reason: str
    frames_read: int | None = None
    frames_lost: int | None = None

    def __str__(self) -> str:
        lost = f"{self.path}: {self.frames_lost} frames are damaged and left out, "
        return f"{self.where}: {self.reason or f'{lost}{self.frames_read} are read'}"


def check_sample(dataset: "ClipDataset", index: int, num_classes: int) -> Finding | None:
    """Read a sample once."""
    record = dataset.records[index]
    try:
        if not 0 <= record.label < num_classes:
            raise DataError(f"label {record.label} is outside 0..{num_classes - 1}")
        if not dataset.is_there(record):
            raise DataError(f"{record.path}: no such file or folder")
        sample = dataset[0, index]
    except DataError as error:
        return Finding(record.where, record.path, str(error))
    if not sample.frames_lost:
        return None
    return Finding(record.where, record.path, "", sample.num_frames, sample.frames_lost)


def check_split(dataset: "ClipDataset", split: str, num_classes: int) -> list[Finding]:
    """Return what is wrong with a split; every sample is read once."""
    from tqdm import tqdm

    indices = tqdm(range(len(dataset)), desc=split, leave=False, disable=None)
    found = [f for index in indices if (f := check_sample(dataset, index, num_classes)) is not None]
    unusable = [finding for finding in found if finding.reason]
    damaged = [finding for finding in found if not finding.reason]
    counts = f"{len(unusable)} unusable, {len(damaged)} with lost frames"
    say(f"{split}: {len(dataset)} samples, {counts}")
    for findings in (unusable, damaged):
        for finding in findings[:MOST_LINES]:
            say(f"  {finding}")
        if len(findings) > MOST_LINES:
            say(f"  ... and {len(findings) - MOST_LINES} more; --output FILE lists them all")
    return found


def class_table(
    datasets: Mapping[str, "ClipDataset"], names: Sequence[str] | None, num_classes: int
) -> list[str]:
    """Samples of each class in each split."""
    counts = {s: Counter(record.label for record in d.records) for s, d in datasets.items()}
    titles = list(names) if names is not None else [""] * num_classes
    rows = [("class", *counts)] + [
        (f"{label} {title[:100]}".rstrip(), *(str(count[label]) for count in counts.values()))
        for label, title in enumerate(titles)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))) for row in rows
    ]


def run(arguments: argparse.Namespace) -> None:
    """Read and count.

    Raises:
        DataError: a sample cannot be used.
    """
    from paddlevideo.apps.recipes import open_recipe
    from paddlevideo.modeling import number_of_classes
    from paddlevideo.tasks.build import build_split
    from paddlevideo.tasks.class_names import class_names
    from paddlevideo.utils.files import write_text

    recipe = open_recipe(arguments.config, arguments.override)
    listed = [s for s in SPLITS if recipe.DATASET and vars(recipe.DATASET)[s] is not None]
    num_classes = number_of_classes(recipe.MODEL)
    names = class_names(recipe, num_classes)
    splits = arguments.split or listed
    datasets = {split: build_split(recipe, split, training=False) for split in splits}
    for line in class_table(datasets, names, num_classes):
        say(line)
    found = [
        finding
        for split, dataset in datasets.items()
        for finding in check_split(dataset, split, num_classes)
    ]
    if arguments.output:
        lines = (json.dumps(asdict(finding), ensure_ascii=False) for finding in found)
        write_text(arguments.output, "".join(f"{line}\n" for line in lines))
    num_unusable = sum(bool(finding.reason) for finding in found)
    if num_unusable:
        raise DataError(f"{num_unusable} samples cannot be used; see above")
