"""Read every listed sample of a config and say which cannot be used, before training starts.

python tools/check_data.py -c CONFIG [--split train valid test] [--output bad.jsonl]
"""

import argparse
import json
from pathlib import Path

import _root  # noqa: F401
from tqdm import tqdm

from paddlevideo.entry import add_config_options, open_recipe, run_command
from paddlevideo.loader import build_dataset
from paddlevideo.modeling import number_of_classes
from paddlevideo.tasks.recipe import SPLITS, Recipe
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.utils.files import write_text


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_options(parser, "-o", "--override")
    parser.add_argument("--split", nargs="+", choices=SPLITS, help="default: all in the config")
    parser.add_argument("--output", type=Path, help="write what is wrong as JSON lines")
    return parser.parse_args()


def check_split(recipe: Recipe, split: str) -> list[dict[str, str]]:
    """Return what is wrong with a split, one entry a sample; every sample is read once."""
    node = getattr(recipe.DATASET, split) if recipe.DATASET else None
    description = getattr(recipe.PIPELINE, split)
    if node is None or description is None:
        raise ConfigError(f"the config has no DATASET.{split} with a PIPELINE.{split}")
    dataset = build_dataset(
        node,
        description,
        training=False,
        where=f"DATASET.{split}",
        pipeline_where=f"PIPELINE.{split}",
    )
    num_classes = number_of_classes(recipe.MODEL)
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


def main() -> None:
    arguments = parse_arguments()
    recipe = open_recipe(arguments.config, arguments.override)
    listed = [s for s in SPLITS if recipe.DATASET and getattr(recipe.DATASET, s) is not None]
    wrong = [entry for split in arguments.split or listed for entry in check_split(recipe, split)]
    if arguments.output:
        write_text(arguments.output, "".join(json.dumps(entry) + "\n" for entry in wrong))
    if wrong:
        raise DataError(f"{len(wrong)} samples cannot be used; see above")


if __name__ == "__main__":
    run_command(main)
