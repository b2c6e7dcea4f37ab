"""``paddlevideo report RUN [RUN...]``: the page of a run, or several runs side by side."""

import argparse
import logging
from pathlib import Path

from paddlevideo.reports import COMPARISON_NAME, REPORT_NAME, write_comparison, write_report

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the subcommand."""
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
        help=f"default: {REPORT_NAME} in the run's folder; of several, {COMPARISON_NAME} here",
    )


def run(arguments: argparse.Namespace) -> None:
    """Make the page.

    Raises:
        DataError: a folder is no run's, or the page cannot be written.
    """
    if len(arguments.runs) == 1:
        path = write_report(arguments.runs[0], arguments.output)
    else:
        path = write_comparison(arguments.runs, arguments.output or COMPARISON_NAME)
    logger.info("the page is %s", path)
