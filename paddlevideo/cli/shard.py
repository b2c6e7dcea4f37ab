"""Write the videos of a list, a folder of classes or a config into tar shards.

paddlevideo shard train.list --prefix VIDEOS -o shards/train     (a list: "path label")
paddlevideo shard VIDEOS -o shards/train                         (a folder of class folders)
paddlevideo shard CONFIG --split train -o shards/train           (a split of a config)

Into -o: NAME-000000.tar ..., shards.json (what is at which byte) and, where classes have names,
classes.txt. Samples are shuffled once. A command that was stopped goes on where it was.
In a config: DATASET.train: {format: ShardDataset, root: shards/train}
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.cli.output import say
from paddlevideo.utils.errors import ConfigError, DataError, no_effect
from paddlevideo.utils.packages import TRAINING
from paddlevideo.utils.ranges import check_file_name

if TYPE_CHECKING:
    from paddlevideo.apps.shards.samples import ShardSource

PACKAGES = TRAINING  # of what reads the data sets

_SPLITS = ("train", "valid", "test")  # those of `paddlevideo.tasks.recipe`, which imports Paddle
_CONFIG_ENDINGS = (".yaml", ".yml")
_SIZE_MB = 256.0
_MOST_MB, _MOST_SAMPLES = 1e6, 10**7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo shard``."""
    parser.add_argument("source", metavar="LIST|DIR|CONFIG", help="whose videos are written")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the shards")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--size-mb", type=float, help=f"megabytes of videos in a shard, at most ({_SIZE_MB:g})"
    )
    size.add_argument("--samples", type=int, help="videos in a shard, whatever their size")
    parser.add_argument("--name", help="in front of the shards' numbers; default: of the split")
    order = parser.add_mutually_exclusive_group()
    order.add_argument("--seed", type=int, help="of the order (0)")
    order.add_argument("--keep-order", action="store_true", help="that of the source")
    parser.add_argument("--prefix", help="folder in front of the paths of a list")
    parser.add_argument("--split", choices=_SPLITS, help="of a config; default: train")
    parser.add_argument(
        "--override", action="append", default=[], metavar="KEY.KEY=VALUE",
        help="change a key of the config",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Write them.

    Raises:
        ConfigError: an option out of its range or without effect, or a folder in use.
        DataError: the source or a video cannot be read.
        SaveError: something cannot be written.
    """
    from paddlevideo.apps.shards.writing import ShardOptions, write_shards

    _check(arguments)
    size_mb = _SIZE_MB if arguments.size_mb is None else arguments.size_mb
    source, name = _source(arguments)
    written = write_shards(
        source,
        arguments.output,
        ShardOptions(
            arguments.name or name,
            None if arguments.samples is not None else round(size_mb * 1e6),
            arguments.samples,
            None if arguments.keep_order else arguments.seed or 0,
        ),
    )
    shards = written.shards
    megabytes = sum(shard.num_bytes for shard in shards) / 1e6
    num_old = len(shards) - written.num_new
    say(
        f"{arguments.output}: {sum(map(len, shards))} videos in {len(shards)} shards, "
        f"{megabytes:.1f} MB" + (f" ({num_old} were there)" if num_old else "")
    )
    say(f"in a config: format: ShardDataset, root: {arguments.output}")


def _check(arguments: argparse.Namespace) -> None:
    if arguments.size_mb is not None and not 0 < arguments.size_mb <= _MOST_MB:
        given = f"{arguments.size_mb:g}"
        raise ConfigError(f"--size-mb: expected above 0, up to {_MOST_MB:g}, got {given}")
    if arguments.samples is not None and not 1 <= arguments.samples <= _MOST_SAMPLES:
        raise ConfigError(f"--samples: expected 1 to {_MOST_SAMPLES}, got {arguments.samples}")
    if arguments.seed is not None and arguments.seed < 0:
        raise ConfigError(f"--seed: must not be negative, got {arguments.seed}")
    if arguments.name is not None:
        check_file_name(arguments.name, "--name")


def _source(arguments: argparse.Namespace) -> tuple["ShardSource", str]:
    """What is written, and the name of the shards if none is given."""
    from paddlevideo.apps.own_videos.records import split_named
    from paddlevideo.apps.shards.samples import of_folder, of_list
    from paddlevideo.utils.shipped_files import find_config

    path = Path(arguments.source)
    is_config = path.suffix.lower() in _CONFIG_ENDINGS or (
        not path.exists() and find_config(arguments.source).exists()
    )
    if arguments.prefix is not None and (is_config or path.is_dir()):
        raise no_effect("prefix", "a list")
    if is_config:
        return _of_config(arguments), arguments.split or _SPLITS[0]
    for option in ("split", "override"):
        if vars(arguments)[option]:
            raise no_effect(option, "a config")
    if not path.exists():
        raise DataError(f"{path}: no such list, folder of classes or config")
    name = split_named(path.stem) or path.resolve().stem
    return of_folder(path) if path.is_dir() else of_list(path, arguments.prefix), name


def _of_config(arguments: argparse.Namespace) -> "ShardSource":
    from paddlevideo.apps.recipes import open_recipe
    from paddlevideo.apps.shards.samples import of_dataset
    from paddlevideo.modeling import number_of_classes
    from paddlevideo.tasks.build import build_split
    from paddlevideo.tasks.class_names import class_names

    split = arguments.split or _SPLITS[0]
    recipe = open_recipe(arguments.source, arguments.override)
    num_classes = number_of_classes(recipe.MODEL)
    dataset = build_split(recipe, split, training=False)
    dataset.check_labels(num_classes)
    title = f"{arguments.source}, {split}"
    return of_dataset(title, dataset, class_names(recipe, num_classes))
