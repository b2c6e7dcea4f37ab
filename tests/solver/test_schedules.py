"""Schedules: PaddleVideo's numbers, and the same rate whether a run was resumed or not."""

import math
import random

import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.solver import build_schedule
from paddlevideo.utils.errors import ConfigError

MOVINET = {
    "name": "CustomWarmupCosineDecay",
    "iter_step": True,
    "max_epoch": 160,
    "warmup_epochs": 10,
    "warmup_start_lr": 0.001,
    "cosine_base_lr": 0.5,
}
WHERE = "OPTIMIZER.learning_rate"


def build(**changes):
    return build_schedule({**MOVINET, **changes}, WHERE)


@pytest.mark.parametrize(
    ("epoch", "step", "rate"),
    [
        (0, 0, 0.001),
        (0, 5, 0.02571),
        (5, 0, 0.248098),
        (10, 0, 0.495196),
        (80, 0, 0.25),
        (159, 9, 0.25 * (math.cos(math.pi * 159.9 / 160) + 1)),
    ],
)
def test_movinets_recipe(epoch, step, rate):
    assert build().rate(epoch, step, 10) == pytest.approx(rate, abs=5e-7)


def paddlevideo_run(max_epoch, warmup, start, base, num_iters, iter_step):
    """PaddleVideo's way: a counter that grows, beside the closed form of docs/paddlevideo.md."""
    rates, done = [], 0.0
    at_warmup = base * (1 + math.cos(math.pi * warmup / max_epoch)) / 2
    for step in range(max_epoch * num_iters):
        if done < warmup:
            rates.append(start * (1 - done / warmup) + at_warmup * done / warmup)
        else:
            rates.append(base * math.cos(math.pi * done / max_epoch / 2) ** 2)
        if iter_step:
            done = (step + 1) / num_iters
        elif (step + 1) % num_iters == 0:
            done += 1
    return rates


@pytest.mark.parametrize("iter_step", [True, False])
@pytest.mark.parametrize("warmup", [0, 3, 7])
def test_a_whole_run(iter_step, warmup):
    values = {"max_epoch": 20, "warmup_epochs": warmup, "iter_step": iter_step}
    schedule = build(**values)
    ours = [schedule.rate(epoch, step, 13) for epoch in range(20) for step in range(13)]
    assert ours == pytest.approx(paddlevideo_run(20, warmup, 0.001, 0.5, 13, iter_step), abs=1e-12)


@settings(deadline=None)
@given(
    st.integers(1, 300), st.floats(0, 1), st.floats(0, 1), st.floats(1e-6, 10), st.integers(1, 50)
)
def test_every_warm_up_meets_its_cosine(max_epoch, share, start, base, steps):
    warmup = share * max_epoch
    values = {"max_epoch": max_epoch, "warmup_epochs": warmup}
    schedule = build(**values, warmup_start_lr=start, cosine_base_lr=base)
    rates = [schedule.rate(e, s, steps) for e in range(min(max_epoch, 9)) for s in range(steps)]
    at_warmup = base / 2 * (1 + math.cos(math.pi * share))
    low, high = min(start, at_warmup, 0), max(start, at_warmup, base)
    assert all(low - 1e-9 <= rate <= high + 1e-9 for rate in rates)
    if warmup:
        assert rates[0] == pytest.approx(start)
    if warmup > 1e-3:  # just before or behind the seam no further off than the steeper side goes
        step, steps = 10**9 - 1, round(10**9 / warmup)
        slope = max(abs(at_warmup - start) / warmup, base * math.pi / max_epoch)
        limit = slope * abs(step / steps - warmup) * 1.001 + 1e-12 * max(start, base)
        assert abs(schedule.rate(0, step, steps) - at_warmup) <= limit


def test_the_position_is_all_it_needs():
    schedule, places = build(), [(e, s) for e in range(12) for s in range(4)]
    expected = {place: schedule.rate(*place, 4) for place in places}
    random.Random(0).shuffle(places)
    assert all(schedule.rate(*place, 4) == expected[place] for place in places)


@pytest.mark.parametrize("number", [0.1, 1, 0])
def test_a_number(number):
    schedule = build_schedule(number, WHERE)
    assert schedule.rate(0, 0, 5) == schedule.rate(7, 3, 5) == number


def test_schedules_of_paddle_by_epoch():
    node = {"name": "StepDecay", "learning_rate": 0.8, "step_size": 2, "gamma": 0.5}
    schedule = build_schedule(node, WHERE)
    rates = [schedule.rate(epoch, step, 3) for epoch in range(6) for step in range(3)]
    assert rates == pytest.approx([0.8 * 0.5 ** (epoch // 2) for epoch in range(6) for _ in "abc"])
    node = {"name": "PiecewiseDecay", "boundaries": [1, 3], "values": [0.3, 0.2, 0.1]}
    schedule = build_schedule(node, WHERE)
    assert [schedule.rate(epoch, 0, 3) for epoch in range(5)] == [0.3, 0.2, 0.2, 0.1, 0.1]


@pytest.mark.parametrize("iter_step", [True, False])
@pytest.mark.parametrize(
    "node",
    [
        {"name": "StepDecay", "learning_rate": 0.8, "step_size": 3},
        {"name": "CosineAnnealingDecay", "learning_rate": 0.8, "T_max": 9},
        {"name": "ExponentialDecay", "learning_rate": 0.8, "gamma": 0.9},
        {"name": "LinearWarmup", "learning_rate": 0.8, "warmup_steps": 5, "start_lr": 0,
         "end_lr": 0.8},
    ],
)  # fmt: skip
def test_resuming_at_a_later_position(node, iter_step):
    node = {**node, "iter_step": iter_step}
    places = [(epoch, step) for epoch in range(6) for step in range(4)]
    through = build_schedule(node, WHERE)
    expected = [through.rate(*place, 4) for place in places]
    by_hand = getattr(paddle.optimizer.lr, node["name"])(
        **{key: value for key, value in node.items() if key not in ("name", "iter_step")}
    )
    hands = []
    for place in places:
        hands.append(float(by_hand()))
        if iter_step or place[1] == 3:
            by_hand.step()
    assert expected == pytest.approx(hands)
    assert len(set(expected)) > 1
    resumed = build_schedule(node, WHERE)
    assert [resumed.rate(*place, 4) for place in places[11:]] == pytest.approx(expected[11:])


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"name": "CosineDecay"}, r'OPTIMIZER.learning_rate: unknown learning-rate schedule "Cos'),
        ({"name": "StepDecai"}, r'did you mean "StepDecay"'),
        ({"name": "ReduceOnPlateau"}, r'unknown learning-rate schedule "ReduceOnPlateau"'),
        ({"name": "LRScheduler"}, r'unknown learning-rate schedule "LRScheduler"'),
        ({"name": ["StepDecay"]}, r"unknown learning-rate schedule"),
        ({}, r"unknown learning-rate schedule"),
        ({"name": "StepDecay", "learning_rate": 1}, r"rate: missing argument step_size"),
        ({"name": "StepDecay", "learning_rate": 1, "step_sise": 1}, r'did you mean "step_size"'),
        (
            {"name": "StepDecay", "learning_rate": 1, "step_size": 0},
            r"learning_rate .StepDecay.: .*positive",
        ),
        ({**MOVINET, "max_epochs": 3}, r'unknown argument "max_epochs"; did you mean "max_epoch"'),
        ({**MOVINET, "max_epoch": "x"}, r"OPTIMIZER.learning_rate.max_epoch: .*'x'"),
        ({**MOVINET, "max_epoch": 0}, r"expected max_epoch above 0"),
        ({**MOVINET, "warmup_epochs": 161}, r"warmup_epochs from 0 to max_epoch"),
        ({**MOVINET, "warmup_epochs": -1}, r"warmup_epochs from 0 to max_epoch"),
        (None, r"OPTIMIZER.learning_rate: expected a number or {name: schedule, ...}, got None"),
        ("fast", r"expected a number or {name: schedule, ...}, got 'fast'"),
        (True, r"expected a number"),
        ([0.1], r"expected a number"),
    ],
)
def test_wrong_schedules(node, message):
    with pytest.raises(ConfigError, match=message):
        build_schedule(node, WHERE)
