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
    sys.path[0] = str(Path(__file__).resolve().parents[3])

from paddlevideo.apps.recipes import open_recipe
from paddlevideo.apps.training import train_recipe
from paddlevideo.modeling.device import leave_signals_alone
from paddlevideo.modeling.distributed import is_main
from paddlevideo.utils.logging import setup_logging
from paddlevideo.utils.user_errors import user_errors

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
    leave_signals_alone()
    setup_logging(quiet=not is_main())
    with user_errors():
        main()
