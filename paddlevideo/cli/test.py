"""Test weights by a config: every sample of the split ``test``.

paddlevideo test -c output/Mine/config.yaml -w output/Mine/Mine_best.pdparams
"""

import argparse

from paddlevideo.cli.train import add_recipe_options, recipe_of
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.packages import TRAINING

PACKAGES = TRAINING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_recipe_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Test.

    Raises:
        ConfigError: no weights are named.
    """
    from paddlevideo.apps.recipes import prepared_model, weights_files
    from paddlevideo.tasks.test import test_model

    recipe = recipe_of(arguments)
    weights = arguments.weights or recipe.weights
    if weights is None:
        raise ConfigError("--test needs weights: -w FILE, or the config's key weights")
    model = prepared_model(recipe, weights, initial=False)
    test_model(recipe, model, weights_files(weights))
