"""Train by a config.

paddlevideo train -c movinet_a0_folder -o DATASET.train.root=data/mine/train --validate
"""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from paddlevideo.cli.config_options import add_config_options
from paddlevideo.cli.output import say
from paddlevideo.utils.errors import no_effect
from paddlevideo.utils.packages import TRAINING

if TYPE_CHECKING:
    from paddlevideo.cli.profiler_options import ProfilerOptions
    from paddlevideo.tasks.recipe import Recipe

PACKAGES = TRAINING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe_options(parser)
    add_training_options(parser)


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Those that a training and a test have."""
    add_config_options(parser, "-o", "--override")
    parser.add_argument(
        "-w", "--weights", help="weights to test or to start from: a file or a name"
    )
    parser.add_argument("--seed", type=int, help="seed of the whole run (config key: seed)")


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Those of a training alone."""
    parser.add_argument("--validate", action="store_true", help="validate while training")
    parser.add_argument("--max_iters", type=int, help="stop training after this many steps")
    parser.add_argument(
        "--resume",
        metavar="auto|PATH",
        help="go on from the newest valid state of the run, if any, or from that of a state's or "
        "a run's folder (config key: resume)",
    )
    parser.add_argument(
        "--resume-anyway",
        action="store_true",
        help="go on although something differs that changes the result (config key)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="remove the run that lies in output_dir and begin anew (config key)",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision")
    parser.add_argument("--amp_level", choices=("O1", "O2"), help="default: O1")
    parser.add_argument(
        "--dry-run",
        "--dry_run",
        action="store_true",
        help="try all that a training does on a few batches, say the plan, and leave nothing",
    )
    parser.add_argument(
        "--profile", type=positive, metavar="N", help="profile N steps; training goes on"
    )


def positive(text: str) -> int:
    """A number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not above 0")
    return number


def start_overrides(arguments: argparse.Namespace) -> list[str]:
    """The options that say how a training starts, as overrides of their config keys.

    Raises:
        ConfigError: options that exclude one another, or one that would do nothing.
    """
    given = [
        *(["resume=" + json.dumps(arguments.resume)] if arguments.resume is not None else []),
        *(["resume_anyway=true"] if arguments.resume_anyway else []),
        *(["overwrite=true"] if arguments.overwrite else []),
    ]
    resumes = any(override.startswith("resume") for override in arguments.override)
    if arguments.resume_anyway and arguments.resume is None and not resumes:
        raise no_effect("resume-anyway", "--resume")
    if arguments.overwrite and arguments.resume is not None:
        raise no_effect("overwrite", "a training that begins anew, without --resume")
    return given


def recipe_of(arguments: argparse.Namespace, more: Sequence[str] = ()) -> "Recipe":
    """The recipe that the options name.

    Args:
        more: overrides beside those given.
    """
    from paddlevideo.apps.recipes import open_recipe

    overrides = [*arguments.override, *more]
    if arguments.seed is not None:
        overrides.append(f"seed={arguments.seed}")
    return open_recipe(arguments.config, overrides)


def run(arguments: argparse.Namespace, profiler_options: "ProfilerOptions | None" = None) -> None:
    """Train.

    Args:
        profiler_options: PaddleVideo's, where they are given.

    Raises:
        ConfigError: an option that would do nothing beside the others.
    """
    from paddlevideo.apps.training import train_recipe
    from paddlevideo.tasks.precision import precision_of
    from paddlevideo.tasks.profile import Profile

    for option in ("max_iters", "profile", "resume", "overwrite"):
        if arguments.dry_run and vars(arguments)[option]:
            raise no_effect(option, "a training without --dry-run")
    recipe = recipe_of(arguments, start_overrides(arguments))
    if arguments.amp_level is not None and not arguments.amp and recipe.AMP is None:
        raise no_effect("amp_level", "--amp")
    precision = precision_of(recipe.AMP, arguments.amp, arguments.amp_level)
    weights = arguments.weights or recipe.weights
    if arguments.dry_run:
        from paddlevideo.apps.dry_run import dry_run

        for title, text in dry_run(recipe, weights, arguments.validate, precision).rows():
            say(f"{title:14s} {text}")
        return
    hooks = []
    if profiler_options is not None:
        options = profiler_options
        hooks.append(Profile(options.steps, options.first, options.path, options.ends_training))
    elif arguments.profile is not None:
        hooks.append(Profile(arguments.profile))
    train_recipe(recipe, weights, arguments.validate, precision, arguments.max_iters, hooks)
