"""Make the lists of a public data set from its annotations and videos; convert its videos.

paddlevideo prepare kinetics400 --annotations DIR --videos data/k400/videos --output data/k400
paddlevideo prepare ucf101 --fold 1 ... --short_side 340     (re-encode: a key frame a second)
paddlevideo prepare hmdb51 ... --frames                      (folders of images)

Into --output: a list for each split, classes.txt, left_out.jsonl (missing and damaged videos, with
the reason) and prepared.json. What is there is not made again: the same command goes on.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.cli.output import say, say_table
from paddlevideo.utils.errors import ConfigError, no_effect

if TYPE_CHECKING:
    from paddlevideo.apps.prepare.prepare import Prepared

PACKAGES: tuple[str, ...] = ()

# Those of `paddlevideo.apps.prepare.prepare`, which imports decoders; with their number of folds.
NAMES = {
    "kinetics400": 1,
    "kinetics600": 1,
    "kinetics700": 1,
    "ucf101": 3,
    "hmdb51": 3,
    "something-something-v2": 1,
    "activitynet": 1,
}
_IMAGE_NAME = "img_{:05}.jpg"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo prepare``."""
    parser.add_argument("name", choices=NAMES, help="the data set")
    parser.add_argument(
        "--annotations", nargs="+", type=Path, required=True, help="its files, or folders of them"
    )
    parser.add_argument("--videos", type=Path, required=True, help="folder with its videos")
    parser.add_argument("--output", type=Path, required=True, help="folder for lists")
    parser.add_argument("--fold", type=int, default=1, help="of UCF101 and HMDB51: 1, 2 or 3")
    parser.add_argument(
        "--check", choices=("open", "full", "none"),
        help="of each video decode the first frame (default), all frames, or nothing",
    )  # fmt: skip
    parser.add_argument(
        "--short_side", type=int, metavar="PIXELS",
        help="make clips whose shorter side is at most this (340), with a key frame each second",
    )  # fmt: skip
    parser.add_argument("--frames", action="store_true", help="make a folder of images of each")
    parser.add_argument("--image_name", help=f"pattern of the images' names ({_IMAGE_NAME})")
    parser.add_argument("--start_index", type=int, help="number of the first image (1)")
    parser.add_argument("--workers", type=int, help="processes; default: one for each core")


def run(arguments: argparse.Namespace) -> None:
    """Make them.

    Raises:
        ConfigError: an option out of its range, or one that would do nothing.
        DataError: annotations or videos cannot be used.
    """
    _check(arguments)
    from paddlevideo.apps.prepare.prepare import prepare
    from paddlevideo.apps.prepare.video_work import Options

    image_name = (arguments.image_name or _IMAGE_NAME) if arguments.frames else None
    start_index = 1 if arguments.start_index is None else arguments.start_index
    options = Options(arguments.check or "open", arguments.short_side, image_name, start_index)
    done = prepare(
        arguments.name, arguments.annotations, arguments.videos, arguments.output, options,
        arguments.fold, arguments.workers,
    )  # fmt: skip
    _report(done, arguments)


def _check(arguments: argparse.Namespace) -> None:
    if not 1 <= arguments.fold <= NAMES[arguments.name]:
        folds = NAMES[arguments.name]
        raise ConfigError(f"--fold: {arguments.name} has {folds} of them, got {arguments.fold}")
    if not arguments.frames:
        for option in ("image_name", "start_index"):
            if vars(arguments)[option] is not None:
                raise no_effect(option, "--frames")
    makes = arguments.frames or arguments.short_side is not None or arguments.name == "activitynet"
    if makes and arguments.check is not None:
        raise ConfigError("--check: videos that are converted are decoded whole; leave it out")
    if arguments.short_side is not None and not 16 <= arguments.short_side <= 4320:
        raise ConfigError(f"--short_side: expected 16 to 4320 pixels, got {arguments.short_side}")
    if arguments.workers is not None and arguments.workers < 1:
        raise ConfigError(f"--workers: expected at least 1, got {arguments.workers}")
    if arguments.start_index is not None and arguments.start_index < 0:
        raise ConfigError(f"--start_index: expected 0 or more, got {arguments.start_index}")
    _check_image_name(arguments.image_name or _IMAGE_NAME)


def _check_image_name(name: str) -> None:
    try:
        differs = name.format(1) != name.format(2)
    except (IndexError, KeyError, ValueError):
        differs = False
    if not differs or "/" in name or Path(name).suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise ConfigError(
            f"--image_name: {name[:100]} must hold a place for the number and end in .jpg or .png, "
            f"as {_IMAGE_NAME}"
        )


def _report(done: "Prepared", arguments: argparse.Namespace) -> None:
    counts = (done.usable, done.missing, done.damaged, done.without_label)
    rows: list[tuple[str, ...]] = [("split", "usable", "missing", "damaged", "without a label")]
    rows += [(split, *(str(count.get(split, 0)) for count in counts)) for split in
             ("train", "val", "test") if any(count.get(split) for count in counts)]  # fmt: skip
    say_table(rows, numbers=True)
    if done.frames_lost:
        say(f"{done.frames_lost} frames in usable videos are damaged and left out")
    say(f"{len(done.class_names)} classes: {arguments.output / 'classes.txt'}")
    for path in done.lists.values():
        say(str(path))
    left_out = sum(done.missing.values()) + sum(done.damaged.values())
    if left_out:
        say(f"{left_out} samples are left out: {arguments.output / 'left_out.jsonl'}")
    form = "FrameDataset" if arguments.frames else "VideoDataset"
    say(f"in a config: format: {form}, data_prefix: {done.root}, file_path: one of these lists")
