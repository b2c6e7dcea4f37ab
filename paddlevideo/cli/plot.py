"""Draw the curves of a run, or of several runs together: one PNG, SVG or HTML file.

paddlevideo plot output/MyModel [output/Another ...] [--output curves.svg]
"""

import argparse
import logging
from pathlib import Path

from paddlevideo.utils.packages import TRAINING, require_packages

logger = logging.getLogger(__name__)

PACKAGES = TRAINING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo plot``."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a run's folder, such as output/MyModel"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="a .png, .svg or .html; default: curves.png in the run's folder, of several here",
    )


def run(arguments: argparse.Namespace) -> None:
    """Draw them.

    Raises:
        DataError: a folder is no run's, or the file cannot be written.
        DeviceError: a package is missing.
    """
    require_packages("a picture of curves", "jinja2", "matplotlib")
    # Here, as it imports Paddle, which help does not need.
    from paddlevideo.apps.reports import write_curves

    logger.info("the curves are in %s", write_curves(arguments.runs, arguments.output))
