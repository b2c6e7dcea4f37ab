"""Activations, batch norm, initial values, input scaling."""

import numpy as np
import paddle
import pytest

from modeling.conftest import relative_error, seeded
from paddlevideo.modeling.layers.activations import ACTIVATIONS, activation, hard_sigmoid
from paddlevideo.modeling.layers.batch_norm import BatchNorm
from paddlevideo.modeling.layers.initializers import constant, he_normal, normal
from paddlevideo.modeling.layers.input_scaling import InputScaling
from paddlevideo.utils.errors import ConfigError


def test_hard_sigmoid_has_tensorflows_constant():
    x = paddle.to_tensor([-4.0, -3.0, 0.0, 1.5, 3.0, 100.0])
    expected = np.float32([0, 0, 3, 4.5, 6, 6]) * np.float32(0.16667)
    np.testing.assert_allclose(hard_sigmoid(x).numpy(), expected, rtol=1e-7)
    assert hard_sigmoid(x)[-1].item() > 1.0


def test_keras_hard_sigmoid_is_another_line():
    x = np.float32([-9, -2.5, -1, 0, 2, 2.5, 9])
    expected = np.clip(np.float32(0.2) * x + np.float32(0.5), 0, 1)
    ours = activation("keras_hard_sigmoid")(paddle.to_tensor(x))
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("swish", lambda x: x / (1 + np.exp(-x))),
        ("hard_swish", lambda x: x * np.clip(x + 3, 0, 6) / 6),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("relu6", lambda x: np.clip(x, 0, 6)),
        ("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
        ("identity", lambda x: x),
    ],
)
def test_activation_formulas(name, formula):
    x = np.linspace(-8, 8, 101)
    ours = activation(name)(paddle.to_tensor(x.astype("float32")))
    assert relative_error(ours, formula(x)) < 1e-6


def test_unknown_activation():
    with pytest.raises(ConfigError, match='unknown activation "hard_swich"; did you mean "hard_sw'):
        activation("hard_swich")
    assert all(activation(name) is function for name, function in ACTIVATIONS.items())


@pytest.mark.parametrize("shape", [(2, 3, 2, 4, 5), (2, 3, 1, 1, 1)])
def test_running_statistics(shape):
    """Running variance is the unbiased one, normalisation uses the biased one."""
    layer = BatchNorm(3, momentum=0.9, epsilon=1e-3)
    layer.train()
    mean, variance = np.zeros(3), np.ones(3)
    for step in range(3):
        x = seeded(shape, step) * 3 + 1
        y = layer(paddle.to_tensor(x)).numpy()
        axes = (0, 2, 3, 4)
        mean = 0.9 * mean + 0.1 * x.mean(axis=axes)
        variance = 0.9 * variance + 0.1 * x.var(axis=axes, ddof=1)
        centred = x - x.mean(axis=axes, keepdims=True)
        expected = centred / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-3)
        np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer._mean.numpy(), mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(layer._variance.numpy(), variance, rtol=1e-5)


def test_one_value_per_channel_leaves_statistics_alone():
    """Paddle skips normalisation there; n / (n - 1) must not be applied."""
    layer = BatchNorm(3)
    layer.train()
    layer(paddle.to_tensor(seeded((1, 3, 1, 1, 1))))
    assert layer._variance.tolist() == [1, 1, 1] and layer._mean.tolist() == [0, 0, 0]


def test_evaluation_leaves_statistics_alone():
    layer = BatchNorm(3, epsilon=0.5)
    layer._mean.set_value(np.float32([1, 2, 3]))
    layer._variance.set_value(np.float32([1, 4, 9]))
    layer.eval()
    x = seeded((2, 3, 2, 2, 2))
    shape = (1, 3, 1, 1, 1)
    expected = x - np.float32([1, 2, 3]).reshape(shape)
    expected /= np.sqrt(np.float32([1, 4, 9]) + 0.5).reshape(shape)
    assert relative_error(layer(paddle.to_tensor(x)), expected) < 1e-6
    assert layer._mean.tolist() == [1, 2, 3] and layer._variance.tolist() == [1, 4, 9]


def values(attr, size=200_000):
    return paddle.create_parameter([size], "float32", attr=attr).numpy()


@pytest.mark.parametrize("fan_in", [9, 75, 480])
def test_he_normal(fan_in):
    """Variance 2 / fan_in *after* the cut at two sigma."""
    drawn = values(he_normal(fan_in))
    std = (2.0 / fan_in) ** 0.5
    assert drawn.std() == pytest.approx(std, rel=0.01) and abs(drawn.mean()) < 0.01 * std
    cut = 2 * std / 0.8796
    assert 0.98 * cut < np.abs(drawn).max() <= cut * 1.0001


def test_other_initial_values():
    assert values(normal(0.01)).std() == pytest.approx(0.01, rel=0.02)
    assert set(values(constant(0.5), 10)) == {0.5}


MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.mark.parametrize(
    "options",
    [{}, {"mean": MEAN, "std": STD}, {"mean": [0.5] * 3, "std": [0.5] * 3}, {"scale": 1.0}],
)
def test_input_scaling(options):
    clip = np.random.default_rng(0).integers(0, 256, (2, 4, 3, 5, 6), np.uint8)
    mean, std, scale = [0.0] * 3, [1.0] * 3, 1 / 255
    mean, std = options.get("mean", mean), options.get("std", std)
    scale = options.get("scale", scale)
    shape = (1, 1, 3, 1, 1)
    expected = (clip * scale - np.reshape(mean, shape)) / np.reshape(std, shape)
    layer = InputScaling(**options)
    from_bytes = layer(paddle.to_tensor(clip))
    from_floats = layer(paddle.to_tensor(clip.astype("float32")))
    assert from_bytes.dtype == paddle.float32
    assert relative_error(from_bytes, expected.transpose(0, 2, 1, 3, 4)) < 1e-6
    assert np.array_equal(from_bytes.numpy(), from_floats.numpy())
    assert layer.is_identity == (options == {"scale": 1.0})
    assert layer.state_dict() == {}


@pytest.mark.parametrize("options", [{"mean": [0.5]}, {"std": [1.0, 1.0]}, {"std": [1, 0, 1]}])
def test_input_scaling_options(options):
    with pytest.raises(ConfigError, match="three values each, std above zero"):
        InputScaling(**options)
