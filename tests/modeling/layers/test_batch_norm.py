"""Batch norm with its activation: compiled or composed, the same values, gradients, statistics."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.conftest import relative_error, seeded
from paddlevideo.modeling.layers import batch_norm
from paddlevideo.modeling.layers.batch_norm import BatchNorm
from paddlevideo.utils.cpu_threads import CPU_THREADS

COMPILED = ["identity", "swish", "hard_swish"]


def layer_of(name, channels, training):
    layer = BatchNorm(channels, 0.9, 1e-3, name)
    layer.weight.set_value(1.0 + 0.3 * seeded([channels], 3))
    layer.bias.set_value(seeded([channels], 4))
    layer._mean.set_value(seeded([channels], 5))
    layer._variance.set_value(0.5 + np.abs(seeded([channels], 6)))
    layer.train() if training else layer.eval()
    return layer


def run(layer, x):
    """Output, gradients under a random gradient, and the running statistics after it."""
    x = paddle.to_tensor(x, stop_gradient=False)
    y = layer(x)
    (y * paddle.to_tensor(seeded(y.shape, 2))).sum().backward()
    return y, x.grad, layer.weight.grad, layer.bias.grad, layer._mean, layer._variance


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(COMPILED),
    training=st.booleans(),
    shape=st.tuples(
        st.integers(1, 3),
        st.integers(1, 4),
        st.integers(1, 5),
        st.integers(1, 9),
        st.integers(1, 9),
    ),
)
def test_compiled_is_composed(name, training, shape):
    if training and np.prod(shape) == shape[1]:
        return  # one value has no variance
    x = 3.0 * seeded(shape) + 1.0
    ours = run(layer_of(name, shape[1], training), x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_norm, "kernels_for", lambda *_: None)
        expected = run(layer_of(name, shape[1], training), x)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", COMPILED)
def test_activation_over_its_whole_range(name):
    """Saturated, around its kinks, and where the exponential leaves float32."""
    x = np.concatenate([np.linspace(-200, 200, 2001), np.linspace(-4, 4, 2001)])
    x = x.astype(np.float32).reshape(1, 1, 1, 1, -1)
    layer = BatchNorm(1, epsilon=0.0, activation_name=name).eval()
    y = layer(paddle.to_tensor(x)).numpy().astype(np.float64)
    wide = x.astype(np.float64)
    expected = {
        "identity": wide,
        "swish": wide / (1.0 + np.exp(-wide)),
        "hard_swish": wide * np.clip(wide + 3.0, 0.0, 6.0) / 6.0,
    }[name]
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-30)


def test_it_is_the_compiled_one(monkeypatch):
    monkeypatch.setattr(batch_norm.F, "batch_norm", None)
    layer_of("swish", 3, True)(paddle.to_tensor(seeded((2, 3, 2, 4, 4))))


def test_variance_of_values_far_from_zero():
    """A sum of squares would lose all digits of a spread of 1 around 1000."""
    x = seeded((2, 3, 4, 9, 9)) + 1000.0
    layer = BatchNorm(3, momentum=0.0)
    layer(paddle.to_tensor(x))
    expected = x.astype(np.float64).transpose(1, 0, 2, 3, 4).reshape(3, -1)
    assert relative_error(layer._mean, expected.mean(axis=1)) < 1e-7
    assert relative_error(layer._variance, expected.var(axis=1, ddof=1)) < 1e-5


@pytest.mark.parametrize("training", [True, False])
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch, training):
    x = seeded((2, 5, 3, 9, 7))
    expected = run(layer_of("swish", 5, training), x)
    for count in (1, 3):
        monkeypatch.setattr(CPU_THREADS, "count", count)
        for one, other in zip(run(layer_of("swish", 5, training), x), expected, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
