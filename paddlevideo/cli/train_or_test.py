"""``main.py``: a training or a test, with PaddleVideo's options."""

import argparse

from paddlevideo.cli import test, train
from paddlevideo.utils.errors import ConfigError, no_effect
from paddlevideo.utils.packages import TRAINING

PACKAGES = TRAINING

NOT_SERVED = {
    "train_dali": "the DALI loader is not available; DATASET.num_workers reads clips in parallel",
    "multigrid": "multigrid training is not available yet",
    "profiler_options": "the profiler is not available yet",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``main.py``."""
    train.add_recipe_options(parser)
    parser.add_argument("--test", action="store_true", help="test instead of training")
    train.add_training_options(parser)
    parser.add_argument(
        "--fleet", action="store_true", help="accepted: every launch is collective data parallel"
    )
    parser.add_argument("--train_dali", action="store_true", help="not available")
    parser.add_argument("--multigrid", action="store_true", help="not available")
    parser.add_argument("-p", "--profiler_options", help="not available")


def run(arguments: argparse.Namespace) -> None:
    """Train or test.

    Raises:
        ConfigError: an option that is not available, or that would do nothing beside the others.
    """
    given = vars(arguments)
    for flag, reason in NOT_SERVED.items():
        if given[flag]:
            raise ConfigError(f"--{flag}: {reason}")
    training = ("validate", "max_iters", "amp", "amp_level", "resume", "resume_anyway", "overwrite")
    for flag in training:
        if arguments.test and given[flag]:
            raise no_effect(flag.replace("_anyway", "-anyway"), "training, without --test")
    (test if arguments.test else train).run(arguments)
