"""Read every listed sample of a config and say which cannot be used, before training starts.

paddlevideo check-data -c CONFIG [--split train valid test] [--output bad.jsonl]

Samples that are read, but not whole, are named too: damaged frames are left out of their clips.
What was found is written into the run's folder too, as data_check.json, for its report.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.cli.config_options import add_config_options
from paddlevideo.cli.output import say, say_table
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.packages import TRAINING

if TYPE_CHECKING:
    from paddlevideo.apps.reports.parts import DataCheck
    from paddlevideo.loader.dataset.base import ClipDataset

PACKAGES = TRAINING

SPLITS = ("train", "valid", "test")  # those of `paddlevideo.tasks.recipe`, which imports Paddle
MOST_LINES = 100  # of samples on the console


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def sorted_out(found: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Those that cannot be used, and those that lost frames."""
    return [f for f in found if f.reason], [f for f in found if not f.reason]


def summary_of(split: str, num_samples: int, found: Sequence[Finding]) -> str:
    """One line about a split."""
    unusable, damaged = sorted_out(found)
    return (
        f"{split}: {num_samples} samples, {len(unusable)} unusable, {len(damaged)} with lost frames"
    )


def check_split(dataset: "ClipDataset", split: str, num_classes: int) -> list[Finding]:
    """Return what is wrong with a split; every sample is read once."""
    from tqdm import tqdm

    indices = tqdm(range(len(dataset)), desc=split, leave=False, disable=None)
    found = [f for index in indices if (f := check_sample(dataset, index, num_classes)) is not None]
    say(summary_of(split, len(dataset), found))
    for findings in sorted_out(found):
        for finding in findings[:MOST_LINES]:
            say(f"  {finding}")
        if len(findings) > MOST_LINES:
            say(f"  ... and {len(findings) - MOST_LINES} more; --output FILE lists them all")
    return found


def class_table(
    datasets: Mapping[str, "ClipDataset"], names: Sequence[str] | None, num_classes: int
) -> list[tuple[str, ...]]:
    """Samples of each class in each split; the first row has the titles."""
    counts = {s: Counter(record.label for record in d.records) for s, d in datasets.items()}
    titles = list(names) if names is not None else [""] * num_classes
    return [("class", *counts)] + [
        (f"{label} {title[:100]}".rstrip(), *(str(count[label]) for count in counts.values()))
        for label, title in enumerate(titles)
    ]


def for_the_report(
    datasets: Mapping[str, "ClipDataset"],
    found: Mapping[str, Sequence[Finding]],
    classes: Sequence[tuple[str, ...]],
) -> "DataCheck":
    """What the page of a run shows of the check; at most `MOST_LINES` samples of each kind."""
    from paddlevideo.apps.reports.parts import Cell, DataCheck, Table

    titles, *counts = classes
    tables = [Table("Samples by class and split", [*titles], [[*row] for row in counts])]
    every = [finding for findings in found.values() for finding in findings]
    kinds = zip(("cannot be used", "lost frames"), sorted_out(every), strict=True)
    for title, findings in kinds:
        if findings:
            rows: list[list[Cell]] = [[f.path, str(f)] for f in findings[:MOST_LINES]]
            tables.append(Table(f"Samples that {title}", ["sample", "finding"], rows))
    summary = [f"{summary_of(split, len(datasets[split]), f)}." for split, f in found.items()]
    return DataCheck(summary, tables)


def run(arguments: argparse.Namespace) -> None:
    """Read and count.

    Raises:
        DataError: a sample cannot be used.
    """
    from paddlevideo.apps.fit.record import RECORD
    from paddlevideo.apps.recipes import open_recipe
    from paddlevideo.apps.reports.parts import DATA_CHECK_NAME, write_part
    from paddlevideo.modeling import number_of_classes
    from paddlevideo.tasks.build import build_split
    from paddlevideo.tasks.class_names import class_names
    from paddlevideo.tasks.run_folder import make_run_folder
    from paddlevideo.utils.files import write_text

    recipe = open_recipe(arguments.config, arguments.override)
    listed = [s for s in SPLITS if recipe.DATASET and vars(recipe.DATASET)[s] is not None]
    num_classes = number_of_classes(recipe.MODEL)
    names = class_names(recipe, num_classes)
    splits = arguments.split or listed
    datasets = {split: build_split(recipe, split, training=False) for split in splits}
    classes = class_table(datasets, names, num_classes)
    say_table(classes, numbers=True)
    by_split = {
        split: check_split(dataset, split, num_classes) for split, dataset in datasets.items()
    }
    found = [finding for findings in by_split.values() for finding in findings]
    if not (recipe.run_folder / RECORD).exists():  # a fit's own check has more in it
        part = for_the_report(datasets, by_split, classes)
        write_part(make_run_folder(recipe) / DATA_CHECK_NAME, part)
    if arguments.output:
        lines = (json.dumps(asdict(finding), ensure_ascii=False) for finding in found)
        write_text(arguments.output, "".join(f"{line}\n" for line in lines))
    num_unusable = sum(bool(finding.reason) for finding in found)
    if num_unusable:
        raise DataError(f"{num_unusable} samples cannot be used; see above")
