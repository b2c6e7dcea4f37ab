"""Train by a config.

paddlevideo train -c movinet_a0_folder -o DATASET.train.root=data/mine/train --validate
"""

import argparse
from typing import TYPE_CHECKING

from paddlevideo.cli.config_options import add_config_options
from paddlevideo.utils.errors import no_effect
from paddlevideo.utils.packages import TRAINING

if TYPE_CHECKING:
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
    parser.add_argument("--amp", action="store_true", help="mixed precision")
    parser.add_argument("--amp_level", choices=("O1", "O2"), help="default: O1")


def recipe_of(arguments: argparse.Namespace) -> "Recipe":
    """The recipe that the options name."""
    from paddlevideo.apps.recipes import open_recipe

    overrides = list(arguments.override)
    if arguments.seed is not None:
        overrides.append(f"seed={arguments.seed}")
    return open_recipe(arguments.config, overrides)


def run(arguments: argparse.Namespace) -> None:
    """Train.

    Raises:
        ConfigError: an option that would do nothing beside the others.
    """
    from paddlevideo.apps.training import train_recipe
    from paddlevideo.tasks.precision import precision_of

    recipe = recipe_of(arguments)
    if arguments.amp_level is not None and not arguments.amp and recipe.AMP is None:
        raise no_effect("amp_level", "--amp")
    precision = precision_of(recipe.AMP, arguments.amp, arguments.amp_level)
    weights = arguments.weights or recipe.weights
    train_recipe(recipe, weights, arguments.validate, precision, arguments.max_iters)
