"""The step: groups of batches whose averaged gradients are one update, and no batch lost."""

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paddle import nn

from paddlevideo.tasks.precision import AmpSection, precision_of
from paddlevideo.tasks.recipe import parse_recipe
from paddlevideo.tasks.step import Precision, TrainStep, group_of
from paddlevideo.tasks.train_setup import _group_size
from paddlevideo.utils.errors import ConfigError, DeviceError


@given(st.integers(1, 60), st.integers(1, 20))
def test_groups_cover_an_epoch(steps_per_epoch, group_size):
    groups: list[list[int]] = [[]]
    for step in range(steps_per_epoch):
        size, update = group_of(step, steps_per_epoch, group_size)
        groups[-1].append(size)
        if update:
            groups.append([])
    assert groups.pop() == []  # the last step of an epoch ends a group
    assert sum(map(len, groups)) == steps_per_epoch
    for group in groups:
        assert set(group) == {len(group)}  # each step was told the size of its group
    assert all(len(group) == group_size for group in groups[:-1])
    assert 1 <= len(groups[-1]) <= group_size


class Recognizer(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(3, 4)
        rng = np.random.default_rng(0)
        for parameter in self.parameters():
            parameter.set_value(rng.standard_normal(parameter.shape).astype("float32"))

    def loss(self, batch):
        logits = self.dense(batch["clip"])
        loss = nn.functional.cross_entropy(logits, batch["label"])
        return {"loss": loss, "logits": logits}


def batches(num_batches: int, size: int = 4):
    rng = np.random.default_rng(1)
    return [
        {
            "clip": paddle.to_tensor(rng.standard_normal((size, 3)).astype("float32")),
            "label": paddle.to_tensor(rng.integers(0, 4, size)),
        }
        for _ in range(num_batches)
    ]


def make(precision=None, **optimizer):
    model = Recognizer()
    built = paddle.optimizer.Momentum(0.0, parameters=model.parameters(), **optimizer)
    return model, TrainStep(model, built, precision or Precision())


def weights(model) -> list[np.ndarray]:
    return [parameter.numpy().copy() for parameter in model.parameters()]


def test_a_group_is_one_large_batch():
    several = batches(3)
    together = {key: paddle.concat([batch[key] for batch in several]) for key in several[0]}
    grouped, step = make()
    for number, batch in enumerate(several):
        before = weights(grouped)
        step(batch, 0.3, 3, update=number == 2)
        changed = not np.array_equal(before[0], weights(grouped)[0])
        assert changed == (number == 2)
    whole, step = make()
    step(together, 0.3, 1, update=True)
    for ours, expected in zip(weights(grouped), weights(whole), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_every_update_has_its_own_rate_and_starts_from_no_gradient():
    model, step = make(momentum=0.0)
    by_hand = Recognizer()
    for batch, rate in zip(batches(3), (0.5, 0.1, 0.0), strict=True):
        result = step(batch, rate, 1, update=True)
        loss = by_hand.loss(batch)["loss"]
        gradients = paddle.grad(loss, by_hand.parameters())
        for parameter, gradient in zip(by_hand.parameters(), gradients, strict=True):
            parameter.set_value(parameter - rate * gradient)
        assert float(result["loss"]) == pytest.approx(float(loss), rel=1e-5)
        assert result["loss"].stop_gradient and result["logits"].stop_gradient
        assert result["logits"].shape == [4, 4]
    for ours, expected in zip(weights(model), weights(by_hand), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


cpu_only = pytest.mark.skipif(paddle.device.is_compiled_with_cuda(), reason="about the CPU")


@cpu_only
def test_amp_on_the_cpu_trains_close_to_float32():
    plain, plain_step = make()
    mixed, mixed_step = make(Precision(enabled=True))
    for batch in batches(3):
        plain_step(batch, 0.1, 1, update=True)
        mixed_step(batch, 0.1, 1, update=True)
    for ours, expected in zip(weights(mixed), weights(plain), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, expected, atol=0.05)


@cpu_only
def test_amp_o2_needs_a_gpu():
    with pytest.raises(ConfigError, match="--amp_level O2 needs a GPU; use O1, or no --amp"):
        make(Precision(enabled=True, level="O2"))


@cpu_only
def test_float16_needs_a_gpu():
    with pytest.raises(DeviceError, match=r"AMP.dtype: float16 needs a GPU"):
        make(Precision(enabled=True, wanted="float16"))
    assert Precision(wanted="float16").dtype == "float16"  # not enabled: not asked for


def test_precision_by_config_and_option():
    """The section alone is enough; the option's level comes before its."""
    assert precision_of(None) == Precision()
    assert precision_of(None, amp=True) == Precision(enabled=True)
    section = AmpSection(dtype="bfloat16", level="O2")
    assert precision_of(section) == Precision(True, "O2", "bfloat16")
    assert precision_of(section, True, "O1") == Precision(True, "O1", "bfloat16")


@pytest.mark.parametrize(("wanted", "size"), [(None, 1), (4, 1), (8, 2), (40, 10)])
def test_batches_per_update(wanted, size):
    assert _group_size(recipe(wanted)) == size


@pytest.mark.parametrize("wanted", [1, 3, 6])
def test_an_update_that_no_number_of_batches_makes(wanted):
    message = f"global_batch_size is {wanted}, not a multiple of batch_size x processes = 4"
    with pytest.raises(ConfigError, match=message):
        _group_size(recipe(wanted))


def recipe(global_batch_size):
    section = global_batch_size and {"global_batch_size": global_batch_size}
    model = {"preset": "movinet_a0_base"}
    return parse_recipe(
        {"MODEL": model, "DATASET": {"batch_size": 4}, "GRADIENT_ACCUMULATION": section}
    )
