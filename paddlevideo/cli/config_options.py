"""The options of commands that work by a config."""

import argparse


def add_config_options(parser: argparse.ArgumentParser, *override_flags: str) -> None:
    """Add ``-c CONFIG`` and the overrides (``-o`` or ``--override``, as the command has them)."""
    parser.add_argument(
        "-c", "--config", required=True, help="config file (YAML), or the name of a shipped one"
    )
    parser.add_argument(
        *override_flags, action="append", default=[], metavar="KEY.KEY=VALUE", help="change a key"
    )
