"""The rate follows the clips of an update, in proportion."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.solver import build_schedule
from paddlevideo.utils.errors import ConfigError

WHERE = "OPTIMIZER.learning_rate"
COSINE = {
    "name": "CustomWarmupCosineDecay",
    "max_epoch": 20,
    "warmup_epochs": 5,
    "warmup_start_lr": 0.01,
    "cosine_base_lr": 1.8,
}
SCHEDULES = [
    COSINE,
    {"name": "Constant", "learning_rate": 0.3},
    {"name": "StepDecay", "learning_rate": 0.2, "step_size": 3},
]


@pytest.mark.parametrize("node", SCHEDULES, ids=lambda node: node["name"])
@given(st.integers(1, 4096), st.integers(1, 4096), st.integers(0, 19), st.integers(0, 9))
def test_every_rate_in_proportion(node, clips, reference, epoch, step):
    """Warm-up and its start as well."""
    plain = build_schedule(node, WHERE).rate(epoch, step, 10)
    node = {**node, "reference_batch_size": reference}
    got = build_schedule(node, WHERE, clips).rate(epoch, step, 10)
    assert got == pytest.approx(plain * clips / reference, rel=1e-12)


@pytest.mark.parametrize("node", [*SCHEDULES, 0.5], ids=str)
def test_without_a_reference_nothing_changes(node):
    rates = [build_schedule(node, WHERE, 77).rate(e, 3, 10) for e in range(20)]
    assert rates == [build_schedule(node, WHERE).rate(e, 3, 10) for e in range(20)]


def test_it_is_logged_where_it_changes_something(caplog):
    caplog.set_level(logging.INFO)
    node = {**COSINE, "reference_batch_size": 1024}
    build_schedule(node, WHERE, 1024)
    build_schedule(node, WHERE)
    assert not caplog.records
    build_schedule(node, WHERE, 32)
    said = "learning rates x 0.03125: an update is of 32 clips, and"
    assert caplog.messages == [f"{said} OPTIMIZER.learning_rate.reference_batch_size is 1024"]


@pytest.mark.parametrize("value", [0, -4, 1.5, "many", True, None, [8]])
def test_a_reference_that_is_no_number_of_clips(value):
    with pytest.raises(
        ConfigError, match=r"learning_rate.reference_batch_size: expected the clips"
    ):
        build_schedule({**COSINE, "reference_batch_size": value}, WHERE)
