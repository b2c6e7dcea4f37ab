"""Train a recipe (``main.py --validate -c CONFIG``) or test it (``--test -c CONFIG -w FILE``)."""

import argparse

from paddlevideo.apps.recipes import (
    add_config_options,
    open_recipe,
    prepared_model,
    run_command,
    train_recipe,
    weights_files,
)
from paddlevideo.tasks.step import Precision
from paddlevideo.tasks.test import test_model
from paddlevideo.utils.errors import ConfigError, no_effect

NOT_SERVED = {
    "train_dali": "the DALI loader is not available; DATASET.num_workers reads clips in parallel",
    "multigrid": "multigrid training is not available yet",
    "profiler_options": "the profiler is not available yet",
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_options(parser, "-o", "--override")
    parser.add_argument("--test", action="store_true", help="test instead of training")
    parser.add_argument(
        "-w", "--weights", help="weights to test or to start from: a file or a name"
    )
    parser.add_argument("--validate", action="store_true", help="validate while training")
    parser.add_argument("--seed", type=int, help="seed of the whole run (config key: seed)")
    parser.add_argument("--max_iters", type=int, help="stop training after this many steps")
    parser.add_argument("--amp", action="store_true", help="mixed precision")
    parser.add_argument("--amp_level", choices=("O1", "O2"), help="default: O1")
    parser.add_argument(
        "--fleet", action="store_true", help="accepted: every launch is collective data parallel"
    )
    parser.add_argument("--train_dali", action="store_true", help="not available")
    parser.add_argument("--multigrid", action="store_true", help="not available")
    parser.add_argument("-p", "--profiler_options", help="not available")
    return parser.parse_args()


def check_options(arguments: argparse.Namespace) -> None:
    """Refuse an option that is not available, or that would do nothing beside the others.

    Raises:
        ConfigError: the message names it.
    """
    for flag, reason in NOT_SERVED.items():
        if getattr(arguments, flag):
            raise ConfigError(f"--{flag}: {reason}")
    for flag in ("validate", "max_iters", "amp"):
        if arguments.test and getattr(arguments, flag):
            raise no_effect(flag, "training, without --test")
    if arguments.amp_level is not None and not arguments.amp:
        raise no_effect("amp_level", "--amp")


def main() -> None:
    arguments = parse_arguments()
    check_options(arguments)
    overrides = list(arguments.override)
    if arguments.seed is not None:
        overrides.append(f"seed={arguments.seed}")
    recipe = open_recipe(arguments.config, overrides)
    weights = arguments.weights or recipe.weights
    if arguments.test and weights is None:
        raise ConfigError("--test needs weights: -w FILE, or the config's key weights")
    if arguments.test:
        model = prepared_model(recipe, weights, initial=False)
        test_model(recipe, model, weights_files(weights))
    else:
        precision = Precision(arguments.amp, arguments.amp_level or "O1")
        train_recipe(recipe, weights, arguments.validate, precision, arguments.max_iters)


if __name__ == "__main__":
    run_command(main)
