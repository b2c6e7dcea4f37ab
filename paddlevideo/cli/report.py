"""Make a page about a run, one HTML file; of several runs, one page that compares them.

paddlevideo report output/MyModel [output/Another ...] [--output page.html]
"""

import argparse
import logging
from pathlib import Path

from paddlevideo.utils.packages import TRAINING, require_packages

logger = logging.getLogger(__name__)

PACKAGES = (*TRAINING, "jinja2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo report``."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="a run's folder, such as output/MyModel; of several, one page compares them",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="default: report.html in the run's folder; of several, comparison.html here",
    )


def run(arguments: argparse.Namespace) -> None:
    """Make the page.

    Raises:
        DataError: a folder is no run's, or the page cannot be written.
        DeviceError: a package is missing.
    """
    require_packages("the page about a run", "jinja2", "matplotlib")
    # Here, as it imports Paddle, which help does not need.
    from paddlevideo.apps.reports import COMPARISON_NAME, write_comparison, write_report

    if len(arguments.runs) == 1:
        path = write_report(arguments.runs[0], arguments.output)
    else:
        path = write_comparison(arguments.runs, arguments.output or COMPARISON_NAME)
    logger.info("the page is %s", path)
