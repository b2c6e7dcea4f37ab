"""One process of a fit's training: ``launched.py -c CONFIG --parent PID [-w WEIGHTS]``.

`paddle.distributed.launch` starts it by its path, which puts this folder in front of all others
that modules are found in; that is undone first.
"""

import argparse
import os
import sys
import threading
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from paddlevideo.apps.recipes import open_recipe, run_command, train_recipe

_POLL_SECONDS = 0.5


def end_with(parent: int) -> None:
    """End this process when the fit has ended, by whatever: two trainings would share a folder."""
    while True:
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            os._exit(1)
        time.sleep(_POLL_SECONDS)


def main() -> None:
    """Train by a config; validate, and keep the best weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-c", "--config", required=True)
    parser.add_argument("-w", "--weights")
    parser.add_argument("--parent", type=int, required=True, help="process of the fit")
    arguments = parser.parse_args()
    threading.Thread(target=end_with, args=(arguments.parent,), daemon=True).start()
    # From the newest whole checkpoint, if an earlier call left one.
    recipe = open_recipe(arguments.config, ["resume_epoch=latest"])
    train_recipe(recipe, arguments.weights, validate=True)


if __name__ == "__main__":
    run_command(main)
