"""Check a list, a folder of videos or all samples of a config, before training starts.

paddlevideo check-data train.list val.list           (lists: "path label"; or CSV files)
paddlevideo check-data VIDEOS                        (a folder, of classes or not)
paddlevideo check-data CONFIG [--split train valid test]

Every file is decoded once, several at a time. Named are files that are missing, empty, without
pictures, unreadable or damaged; copies and the same footage, within and across splits; one video
under two labels; videos that are odd (turned, of a variable rate, interlaced, with alpha, of more
than 8 bits). With a config also: labels and sizes that do not fit it, videos shorter than a clip,
and how fast its pipeline reads against what its training takes. The exit code is 1 where a sample
cannot be used. With a config, data_check.json in the run's folder has it all for the run's report.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.cli.output import say, say_table
from paddlevideo.utils.errors import ConfigError, DataError, no_effect
from paddlevideo.utils.packages import TRAINING, require_packages

if TYPE_CHECKING:
    from paddlevideo.apps.dataset_check.listing import Listing
    from paddlevideo.apps.dataset_check.result import CheckResult
    from paddlevideo.apps.reports.parts import Table
    from paddlevideo.tasks.recipe import Recipe

PACKAGES = TRAINING

SPLITS = ("train", "valid", "test")  # those of `paddlevideo.tasks.recipe`, which imports Paddle
_CONFIG_ENDINGS = (".yaml", ".yml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo check-data``."""
    parser.add_argument(
        "sources", nargs="*", metavar="LIST|DIR|CONFIG",
        help="lists and folders (each list is a split of its own), or one config",
    )  # fmt: skip
    parser.add_argument("-c", "--config", help="a config, as the argument alone")
    parser.add_argument(
        "-o", "--override", action="append", default=[], metavar="KEY.KEY=VALUE",
        help="change a key of the config",
    )  # fmt: skip
    parser.add_argument("--split", nargs="+", choices=SPLITS, help="of a config; default: all")
    parser.add_argument("--prefix", help="folder in front of the paths of lists")
    parser.add_argument("--workers", type=int, help="processes; default: one for each core")
    parser.add_argument(
        "--no-throughput", action="store_true", help="of a config: measure no speed"
    )
    parser.add_argument(
        "--output", type=Path, help="write the samples that are unusable or lost frames, JSON lines"
    )
    parser.add_argument("--json", type=Path, help="write everything that was found")
    parser.add_argument("--html", type=Path, help="write it as a page")
    parser.add_argument(
        "--fix", type=Path, metavar="LIST",
        help="write a new list without unusable samples, copies and videos of two labels; of "
        "several splits one each",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Check and say what was found.

    Raises:
        ConfigError: options that cannot be, or do nothing.
        DataError: a sample cannot be used, or the list or folder cannot be read.
    """
    from paddlevideo.apps.dataset_check.check import check_listing
    from paddlevideo.apps.dataset_check.cleaned import check_targets, write_cleaned
    from paddlevideo.apps.dataset_check.listing import read_listings
    from paddlevideo.apps.dataset_check.result import text_lines

    if arguments.workers is not None and arguments.workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {arguments.workers}")
    if arguments.html:
        require_packages("paddlevideo check-data --html", "jinja2")
    config = _config_of(arguments)
    if config is None:
        for option in ("override", "split", "no_throughput"):
            if vars(arguments)[option]:
                raise no_effect(option.replace("_", "-"), "a config")
        listing = read_listings([Path(source) for source in arguments.sources], arguments.prefix)
        files = check_targets(listing, arguments.fix) if arguments.fix else {}
        _say_classes(listing)
        result = check_listing(listing, arguments.workers)
    else:
        if arguments.prefix:
            raise no_effect("prefix", "lists")
        result, files = _check_config(config, arguments)
    for line in text_lines(result):
        say(line)
    _say_table(result.spread_table())
    _write(result, arguments)
    if arguments.fix:
        for line in write_cleaned(result, arguments.fix, files):
            say(line)
    if result.unusable:
        raise DataError(f"{len(result.unusable)} samples cannot be used; see above")


def _config_of(arguments: argparse.Namespace) -> str | None:
    """The config that is to be checked; None: lists and folders are."""
    from paddlevideo.utils.shipped_files import find_config

    sources = arguments.sources
    if arguments.config is not None:
        if sources:
            raise ConfigError(f"-c {arguments.config} and {sources[0]} are given; leave one out")
        return str(arguments.config)
    if not sources:
        raise ConfigError("nothing to check; name a list, a folder of videos or a config")
    configs = [
        source
        for source in sources
        if source.lower().endswith(_CONFIG_ENDINGS)
        or (not Path(source).exists() and find_config(source).exists())
    ]
    if not configs:
        return None
    if len(sources) > 1:
        raise ConfigError(f"{configs[0]} is a config, which is checked alone; name nothing else")
    return str(sources[0])


def _check_config(
    config: str, arguments: argparse.Namespace
) -> tuple["CheckResult", dict[str, Path]]:
    """The result, and the files of the cleaned lists."""
    from paddlevideo.apps.dataset_check.check import check_listing
    from paddlevideo.apps.dataset_check.cleaned import check_targets
    from paddlevideo.apps.dataset_check.of_config import ConfigCheck
    from paddlevideo.apps.recipes import open_recipe
    from paddlevideo.modeling import number_of_classes
    from paddlevideo.tasks.build import build_split
    from paddlevideo.tasks.class_names import class_names

    recipe = open_recipe(config, arguments.override)
    listed = [s for s in SPLITS if recipe.DATASET and vars(recipe.DATASET)[s] is not None]
    num_classes = number_of_classes(recipe.MODEL)
    names = class_names(recipe, num_classes)
    splits = arguments.split or listed
    datasets = {split: build_split(recipe, split, training=False) for split in splits}
    if arguments.fix and any(dataset.media_of(0) for dataset in datasets.values()):
        raise ConfigError(
            "--fix writes lists, and videos in shards cannot be listed: clean the list that the "
            "shards were made of, and make them again"
        )
    check = ConfigCheck(config, datasets, num_classes, names)
    files = check_targets(check.listing, arguments.fix) if arguments.fix else {}
    _say_classes(check.listing)
    result = check_listing(check.listing, arguments.workers, check.scan, check.judge)
    if not arguments.no_throughput and "train" in splits:
        result = _with_throughput(result, recipe)
    _write_part(result, recipe)
    return result, files


def _with_throughput(result: "CheckResult", recipe: "Recipe") -> "CheckResult":
    from paddlevideo.apps.dataset_check.throughput import measure_throughput

    of_train = [i for i, entry in enumerate(result.listing.entries) if entry.split == "train"]
    left_out = {number for number, index in enumerate(of_train) if index in result.unusable}
    found = measure_throughput(recipe, left_out)
    return result if found is None else replace(result, throughput=tuple(found.sentences()))


def _write_part(result: "CheckResult", recipe: "Recipe") -> None:
    """For the report of the run; a fit's own check has more in it."""
    from paddlevideo.apps.fit.record import RECORD
    from paddlevideo.apps.reports.parts import DATA_CHECK_NAME, write_part
    from paddlevideo.tasks.run_folder import make_run_folder

    if not (recipe.run_folder / RECORD).exists():
        write_part(make_run_folder(recipe) / DATA_CHECK_NAME, result.part())


def _say_classes(listing: "Listing") -> None:
    from paddlevideo.apps.dataset_check.result import CheckResult

    _say_table(CheckResult(listing, (), ()).class_table())


def _say_table(table: "Table") -> None:
    if table.rows:
        rows = [[str(cell) for cell in row] for row in table.rows]
        say_table([table.columns, *rows], numbers=True)


def _write(result: "CheckResult", arguments: argparse.Namespace) -> None:
    from paddlevideo.utils.files import write_json, write_text

    if arguments.json:
        write_json(arguments.json, result.as_dict())
    if arguments.html:
        from paddlevideo.apps.reports.page import write_page

        content = {"title": f"Data check: {result.listing.title[:200]}", "check": result.part()}
        write_page(arguments.html, "data_check.html", content)
    if arguments.output:
        rows = (json.dumps(row, ensure_ascii=False) for row in result.losses())
        write_text(arguments.output, "".join(f"{row}\n" for row in rows))
