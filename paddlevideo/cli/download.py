"""Fetch released weights into the cache, once, and convert them; or list what there is.

paddlevideo download --list
paddlevideo download movinet_a0_stream_k600
paddlevideo download movinet_a0_stream_k600 --from movinet_a0_stream.tar.gz

The cache is the folder PADDLEVIDEO_HOME, by default one in the user's cache folder. What is in
it is found by name: main.py -w NAME, weights: NAME in a config, create_model(..., weights=NAME).
"""

import argparse

from paddlevideo.cli.output import say, say_table
from paddlevideo.utils.cache_home import home
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.packages import TRAINING, require_packages
from paddlevideo.weights.published import PRETRAINED, PretrainedEntry, find_entry
from paddlevideo.weights.published.cache import read_record

PACKAGES = ("pooch",)  # to find the cache; fetching checks for itself


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo download``."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="weights of the list")
    parser.add_argument("--list", action="store_true", help="list all weights that have a name")
    parser.add_argument(
        "--from",
        dest="file",
        metavar="FILE",
        help="take this file, fetched by other means, instead of fetching it",
    )


def run(arguments: argparse.Namespace) -> None:
    """List weights, or bring them into the cache and write the path of each."""
    if arguments.list:
        if arguments.names or arguments.file:
            raise ConfigError("--list stands alone; leave NAME and --from out")
        _list()
        return
    entries = [find_entry(name) for name in arguments.names]
    if not entries:
        raise ConfigError("name the weights to fetch; paddlevideo download --list has the names")
    if arguments.file is not None and len(entries) != 1:
        raise ConfigError(f"--from is one file, of one NAME; {len(entries)} are given")
    _fetch(entries, arguments.file)


def _fetch(entries: list[PretrainedEntry], file: str | None) -> None:
    require_packages("converting what is fetched", *TRAINING)
    from paddlevideo.convert.resolve import fetch, take_file
    from paddlevideo.modeling.device import leave_signals_alone

    leave_signals_alone()
    for entry in entries:
        path = fetch(entry) if file is None else take_file(entry, file)
        say(f"{entry.name}  {path}")


def _list() -> None:
    header = ("name", "model", "format", "classes", "top-1 / top-5", "MB", "proof", "cache")
    say_table([header, *(_row(entry) for entry in PRETRAINED.values())])
    say("")
    say("top-1 / top-5: per cent, as published. proof: ours where we have run the file, publisher")
    say("where all is taken from its page. All are Apache-2.0. docs/pretrained.md says more.")
    say(f"The cache is {home()} (PADDLEVIDEO_HOME names another).")


def _row(entry: PretrainedEntry) -> tuple[str, ...]:
    megabytes = entry.megabytes if entry.num_bytes is None else entry.num_bytes / 1e6
    return (
        entry.name,
        entry.model,
        entry.file_format,
        entry.class_list,
        accuracy_text(entry),
        "-" if megabytes is None else f"{megabytes:.3g}",
        "ours" if entry.is_proven else "publisher",
        "-" if read_record(entry) is None else "there",
    )


def accuracy_text(entry: PretrainedEntry) -> str:
    """The published accuracy as a text."""
    if entry.top1 is None:
        return "-"
    return f"{entry.top1:.2f} / {'-' if entry.top5 is None else f'{entry.top5:.2f}'}"
