"""Make a page about a run, one HTML file; of several runs, one page that compares them.

python tools/report.py output/MyModel [output/Another ...] [--output page.html]
"""

import argparse

import _root  # noqa: F401

from paddlevideo.apps.recipes import run_command
from paddlevideo.cli.report import add_arguments, run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    run(parser.parse_args())


if __name__ == "__main__":
    run_command(main)
