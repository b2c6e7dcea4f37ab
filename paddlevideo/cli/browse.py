"""Show what the model sees: contact sheets of samples behind each step of a pipeline.

paddlevideo browse CONFIG [--split train] [--samples 8] [--output DIR|FILE.html]

The samples are the first of an epoch, in its order and with its random draws, so the last row of a
sheet is what training gets. With MIX a sheet of a mixed batch follows.
"""

import argparse
import logging
from pathlib import Path

from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.packages import TRAINING, require_packages

logger = logging.getLogger(__name__)

PACKAGES = TRAINING
_SPLITS = ("train", "valid", "test")
_MOST_SAMPLES = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo browse``."""
    parser.add_argument("config", help="config file (YAML), or the name of a shipped one")
    parser.add_argument(
        "-o", "--override", action="append", default=[], metavar="KEY.KEY=VALUE",
        help="change a key",
    )  # fmt: skip
    parser.add_argument("--split", choices=_SPLITS, default="train", help="default: train")
    parser.add_argument("--samples", type=int, default=8, help="how many (8)")
    parser.add_argument("--epoch", type=int, default=0, help="whose draws are shown (0)")
    parser.add_argument("--seed", type=int, help="of the run; default: that of the config")
    parser.add_argument(
        "--output", type=Path, default=Path("browse"),
        help="folder for a PNG file each (browse), or one page: FILE.html",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """Write the sheets.

    Raises:
        ConfigError: an option out of its range, or no such split.
        DataError: a sample cannot be read.
    """
    from paddlevideo.apps.browse.sheets import sheets
    from paddlevideo.apps.browse.writing import write_sheets
    from paddlevideo.apps.recipes import open_recipe
    from paddlevideo.modeling.device import setup_device

    if not 1 <= arguments.samples <= _MOST_SAMPLES:
        raise ConfigError(f"--samples must be 1 to {_MOST_SAMPLES}, got {arguments.samples}")
    if arguments.epoch < 0:
        raise ConfigError(f"--epoch must not be negative, got {arguments.epoch}")
    if arguments.output.suffix.lower() in (".html", ".htm"):
        require_packages("paddlevideo browse --output FILE.html", "jinja2")
    overrides = list(arguments.override)
    if arguments.seed is not None:
        overrides.append(f"seed={arguments.seed}")
    recipe = open_recipe(arguments.config, overrides)
    setup_device("cpu")
    shown = sheets(recipe, arguments.split, arguments.samples, arguments.epoch)
    files = write_sheets(shown, arguments.output)
    logger.info("%d files written: %s ...", len(files), files[0])
