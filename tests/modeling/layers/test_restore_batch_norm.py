"""Batch norm put back: the function stays the same, and training starts where the network is."""

import numpy as np
import paddle
import pytest
from paddle import nn

from modeling.conftest import TOLERANCE, randomise, relative_error
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.modeling.layers.restore_batch_norm import is_folded, restore_batch_norm
from paddlevideo.tasks.freeze import FrozenStages
from paddlevideo.utils.errors import DataError, NonFiniteError


def folded(name="movinet_t0_stream", **options):
    """A network whose batch norms add a bias, and nothing else."""
    model = randomise(build_recognizer(model_section(name, num_classes=5, **options)))
    for layer in model.sublayers():
        if isinstance(layer, nn.BatchNorm3D):
            layer._mean.set_value(paddle.zeros_like(layer._mean))
            layer._variance.set_value(paddle.ones_like(layer._variance))
            layer.weight.set_value(paddle.full_like(layer.weight, (1 + layer._epsilon) ** 0.5))
    return model


def clips(count=6, batch=4, seed=0):
    """Clips that differ in brightness and in what they show."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        level = rng.uniform(0, 150, (batch, 1, 3, 1, 1))
        coarse = rng.uniform(0, 100, (batch, 4, 3, 8, 8)).repeat(4, 3).repeat(4, 4)
        yield paddle.to_tensor((level + coarse).astype("float32"))


def logits(model, batches):
    with paddle.no_grad():
        return np.concatenate([model(batch).numpy() for batch in batches])


def without_dropout(model):
    model.train()
    for layer in model.sublayers():
        if isinstance(layer, nn.Dropout):
            layer.eval()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("movinet_t0_stream", {}),
        ("movinet_t0_stream", {"se_type": "none", "activation": "relu6"}),
        ("movinet_t0_base", {}),
    ],
)
def test_the_function_stays_and_training_starts_there(name, options):
    model = folded(name, **options).eval()
    assert is_folded(model)
    seen, others = list(clips()), list(clips(seed=1))
    before = logits(model, others)
    without_dropout(model)
    lost = np.corrcoef(logits(model, seen).ravel(), before.ravel())[0, 1]
    model = folded(name, **options).eval()  # training has moved its statistics
    expected = logits(model, seen)
    num_norms = sum(isinstance(layer, nn.BatchNorm3D) for layer in model.sublayers())
    assert restore_batch_norm(model, seen) == num_norms
    assert not is_folded(model)
    assert relative_error(logits(model, others), before) < TOLERANCE
    assert relative_error(logits(model, seen), expected) < TOLERANCE
    without_dropout(model)
    started = logits(model, seen)
    assert np.corrcoef(started.ravel(), expected.ravel())[0, 1] > max(0.9, lost)
    assert np.abs(started - expected).mean() < 0.5 * expected.std()


def test_statistics_are_those_of_all_batches():
    norm = nn.BatchNorm3D(3, momentum=0.9, epsilon=1e-3)
    norm.bias.set_value(paddle.to_tensor([1.0, -2.0, 0.5]))
    rng = np.random.default_rng(0)
    parts = [rng.normal(4.0, 2.0, (n, 3, 2, 5, 5)).astype("float32") for n in (2, 3)]
    norm.eval()
    before = norm(paddle.to_tensor(parts[0])).numpy()
    restore_batch_norm(norm, [paddle.to_tensor(part) for part in parts])
    values = np.concatenate(parts).transpose(1, 0, 2, 3, 4).reshape(3, -1)
    np.testing.assert_allclose(norm._mean.numpy(), values.mean(1), rtol=1e-5)
    np.testing.assert_allclose(norm._variance.numpy(), values.var(1), rtol=1e-5)
    np.testing.assert_allclose(norm(paddle.to_tensor(parts[0])).numpy(), before, atol=1e-5)


def test_a_channel_that_never_changes_keeps_its_function():
    norm = nn.BatchNorm3D(2)
    norm.bias.set_value(paddle.ones([2]))
    norm.eval()
    batch = paddle.ones([2, 2, 1, 3, 3]) * 7
    before = norm(batch).numpy()
    restore_batch_norm(norm, [batch])
    assert not norm._variance.numpy().any()
    np.testing.assert_allclose(norm(batch).numpy(), before, rtol=1e-5)


def test_modes_are_as_before_and_frozen_stages_stay():
    model = folded()
    frozen = FrozenStages(model, "block1")
    frozen.train_rest()
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    assert is_folded(model)
    restore_batch_norm(model, clips(2))
    assert model.training and not model.backbone.stem.training
    changed = {n for n, t in model.state_dict().items() if not np.array_equal(t.numpy(), before[n])}
    assert changed and all(".bn." in name for name in changed)
    assert not any("stem" in name or "block0" in name or "block1" in name for name in changed)


def test_batches_of_a_loader():
    model = folded().eval()
    assert restore_batch_norm(model, ({"clip": clip} for clip in clips(1))) > 20


def test_what_is_not_folded():
    assert not is_folded(build_recognizer(model_section("movinet_t0_stream")))  # new
    assert not is_folded(randomise(build_recognizer(model_section("movinet_t0_stream"))))
    assert not is_folded(nn.Linear(2, 2))


def test_refused():
    model = folded().eval()
    before = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    with pytest.raises(
        DataError, match="put back: there is no clip to take batch norm's statistics from"
    ):
        restore_batch_norm(model, [])
    with pytest.raises(NonFiniteError, match="a layer sees infinity or NaN"):
        restore_batch_norm(model, [paddle.full([1, 2, 3, 32, 32], float("inf"))])
    assert all(np.array_equal(t.numpy(), before[n]) for n, t in model.state_dict().items())
