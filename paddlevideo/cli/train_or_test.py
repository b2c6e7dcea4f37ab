"""``main.py``: a training or a test, with PaddleVideo's options."""

import argparse

from paddlevideo.cli import test, train
from paddlevideo.cli.profiler_options import read_profiler_options
from paddlevideo.utils.errors import ConfigError, no_effect
from paddlevideo.utils.packages import TRAINING

PACKAGES = TRAINING

NOT_SERVED = {
    "train_dali": "the DALI loader is not available; DATASET.num_workers reads clips in parallel",
    "multigrid": "multigrid training is not available yet",
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
    parser.add_argument(
        "-p",
        "--profiler_options",
        metavar="KEY=VALUE;...",
        help="PaddleVideo's: batch_range=[10,20]; profile_path=FILE; exit_on_finished=True",
    )


def run(arguments: argparse.Namespace) -> None:
    """Train or test.

    Raises:
        ConfigError: an option that is not available, or that would do nothing beside the others.
    """
    given = vars(arguments)
    for flag, reason in NOT_SERVED.items():
        if given[flag]:
            raise ConfigError(f"--{flag}: {reason}")
    for flag in (
        *("validate", "max_iters", "amp", "amp_level", "resume", "resume_anyway", "overwrite"),
        *("dry_run", "profile", "profiler_options"),
    ):
        if arguments.test and given[flag]:
            raise no_effect(flag.replace("_anyway", "-anyway"), "training, without --test")
    for flag in ("profile", "dry_run"):
        if arguments.profiler_options and given[flag]:
            raise no_effect("profiler_options", f"a training without --{flag}")
    if arguments.test:
        test.run(arguments)
        return
    options = arguments.profiler_options
    train.run(arguments, None if options is None else read_profiler_options(options))
