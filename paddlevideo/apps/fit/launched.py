"""One process of a fit's training: ``launched.py -c CONFIG [-w WEIGHTS]``.

`paddle.distributed.launch` starts it by its path, which puts this folder in front of all others
that modules are found in; that is undone first.
"""

import argparse
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from paddlevideo.apps.recipes import open_recipe, run_command, train_recipe


def main() -> None:
    """Train by a config; validate, and keep the best weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", "--config", required=True)
    parser.add_argument("-w", "--weights")
    arguments = parser.parse_args()
    # From the newest whole checkpoint, if an earlier call left one.
    recipe = open_recipe(arguments.config, ["resume_epoch=latest"])
    train_recipe(recipe, arguments.weights, validate=True)


if __name__ == "__main__":
    run_command(main)
