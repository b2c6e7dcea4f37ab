"""The schedule is as long as the run, unless its length is set."""

import logging
import re

import pytest

from paddlevideo.apps.recipes import open_recipe
from paddlevideo.tasks.schedule_length import fill_length, warn_of_another_length

FILE = """
MODEL:
  backbone: {name: MoViNet, model_type: A0}
  head: {name: ClassifierHead, num_classes: 4}
OPTIMIZER:
  name: SGD
  learning_rate: %s
epochs: 60
"""
COSINE = (
    "{name: CustomWarmupCosineDecay, warmup_epochs: 5, warmup_start_lr: 0, cosine_base_lr: 1%s}"
)
MAX_EPOCH = "OPTIMIZER.learning_rate.max_epoch"
WARM_UP = "OPTIMIZER.learning_rate.warmup_epochs"


@pytest.fixture
def lengths(tmp_path):
    """(epochs, max_epoch, warmup_epochs) of a config with overrides."""

    def read(more, *overrides):
        path = tmp_path / "config.yaml"
        path.write_text(FILE % (COSINE % more))
        recipe = open_recipe(path, overrides)
        node = recipe.OPTIMIZER["learning_rate"]
        again = tmp_path / "again.yaml"
        again.write_text(recipe.to_yaml())
        assert open_recipe(again).OPTIMIZER == recipe.OPTIMIZER
        return recipe.epochs, node["max_epoch"], node["warmup_epochs"]

    return read


@pytest.mark.parametrize("more", ["", ", max_epoch: 60"])
@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], (60, 60, 5)),
        (["epochs=6"], (6, 6, 0.5)),
        (["epochs=1"], (1, 1, 5 / 60)),
        (["epochs=120"], (120, 120, 5)),  # a warm-up is not made longer
        (["epochs=6", f"{MAX_EPOCH}=60"], (6, 60, 5)),  # stated: the run is meant to be a part
        (["epochs=6", f"{WARM_UP}=2"], (6, 6, 2)),
        ([f"{MAX_EPOCH}=30"], (60, 30, 5)),
    ],
)
def test_the_schedule_follows_the_run(lengths, more, overrides, expected):
    assert lengths(more, *overrides) == pytest.approx(expected)


def test_a_length_of_its_own_stays(lengths):
    assert lengths(", max_epoch: 90", "epochs=6") == (6, 90, 5)


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ("{name: CosineAnnealingDecay, learning_rate: 1.0, T_max: 60}", 6),
        ("{name: CosineAnnealingDecay, learning_rate: 1.0, T_max: 50}", 50),
        # In updates, which the number of epochs says nothing of.
        ("{name: CosineAnnealingDecay, learning_rate: 1.0, T_max: 60, iter_step: true}", 60),
    ],
)
def test_paddles_schedules(tmp_path, node, expected):
    path = tmp_path / "config.yaml"
    path.write_text(FILE % node)
    assert open_recipe(path, ["epochs=6"]).OPTIMIZER["learning_rate"]["T_max"] == expected


def test_a_number_is_left_alone(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(FILE % "0.1")
    assert open_recipe(path, ["epochs=6"]).OPTIMIZER["learning_rate"] == 0.1


@pytest.mark.parametrize(
    ("node", "warned"),
    [
        ({"name": "CustomWarmupCosineDecay", "max_epoch": 6}, None),
        ({"name": "CustomWarmupCosineDecay", "max_epoch": 60}, "does not fall to its end"),
        ({"name": "CosineAnnealingDecay", "T_max": 3}, "T_max is 3.* before the run ends"),
        ({"name": "CosineAnnealingDecay", "T_max": 60, "iter_step": True}, None),
        ({"name": "StepDecay", "step_size": 60}, None),
        (0.1, None),
    ],
)
def test_another_length_is_said(caplog, node, warned):
    with caplog.at_level(logging.WARNING):
        warn_of_another_length(node, 6)
    assert bool(caplog.records) == (warned is not None)
    if warned:
        (record,) = caplog.records
        assert re.search(warned, record.message)
        assert record.message.startswith("epochs is 6, but OPTIMIZER.learning_rate.")


def test_what_is_no_schedule_is_left_to_the_check():
    for node in (None, 3, [], {"name": "X"}):
        fill_length(node, 3)
