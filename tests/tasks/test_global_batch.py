"""The clips of an update: one process here."""

import pytest

from paddlevideo.tasks.global_batch import global_batch_size
from paddlevideo.tasks.recipe import parse_recipe
from paddlevideo.utils.errors import ConfigError

MODEL = {"preset": "movinet_a0_base"}


def test_batches_and_processes():
    recipe = parse_recipe({"MODEL": MODEL, "DATASET": {"batch_size": 6}})
    assert global_batch_size(recipe) == 6


def test_accumulated_batches():
    sections = {"DATASET": {"batch_size": 4}, "GRADIENT_ACCUMULATION": {"global_batch_size": 24}}
    assert global_batch_size(parse_recipe({"MODEL": MODEL, **sections})) == 24


def test_without_data():
    with pytest.raises(ConfigError, match="DATASET is missing"):
        global_batch_size(parse_recipe({"MODEL": MODEL}))
