"""Read every listed sample of a config and say which cannot be used, before training starts.

python tools/check_data.py -c CONFIG [--split train valid test] [--output bad.jsonl]
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import _root  # noqa: F401
from tqdm import tqdm

from paddlevideo.entry import add_config_options, open_recipe, run_command
from paddlevideo.modeling import number_of_classes
from paddlevideo.tasks.build import build_split
from paddlevideo.tasks.class_names import class_names
from paddlevideo.tasks.recipe import SPLITS
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import write_text


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_options(parser, "-o", "--override")
    parser.add_argument("--split", nargs="+", choices=SPLITS, help="default: all in the config")
    parser.add_argument("--output", type=Path, help="write what is wrong as JSON lines")
    return parser.parse_args()


def check_split(dataset: Any, split: str, num_classes: int) -> list[dict[str, str]]:
    """Return what is wrong with a split, one entry a sample; every sample is read once."""
    wrong = []
    for index in tqdm(range(len(dataset)), desc=split, leave=False, disable=None):
        record = dataset.records[index]
        try:
            _ = dataset[0, index]
            if not 0 <= record.label < num_classes:
                raise DataError(f"label {record.label} is outside 0..{num_classes - 1}")
        except DataError as error:
            wrong.append({"where": record.where, "path": record.path, "reason": str(error)})
    print(f"{split}: {len(dataset)} samples, {len(wrong)} unusable")
    for entry in wrong:
        print(f"  {entry['where']}: {entry['reason']}")
    return wrong


def class_table(
    datasets: Mapping[str, Any], names: Sequence[str] | None, num_classes: int
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


def main() -> None:
    arguments = parse_arguments()
    recipe = open_recipe(arguments.config, arguments.override)
    listed = [s for s in SPLITS if recipe.DATASET and getattr(recipe.DATASET, s) is not None]
    num_classes = number_of_classes(recipe.MODEL)
    names = class_names(recipe, num_classes)
    splits = arguments.split or listed
    datasets = {split: build_split(recipe, split, training=False) for split in splits}
    for line in class_table(datasets, names, num_classes):
        print(line)
    wrong = [
        entry
        for split, dataset in datasets.items()
        for entry in check_split(dataset, split, num_classes)
    ]
    if arguments.output:
        write_text(arguments.output, "".join(json.dumps(entry) + "\n" for entry in wrong))
    if wrong:
        raise DataError(f"{len(wrong)} samples cannot be used; see above")


if __name__ == "__main__":
    run_command(main)
