"""Fake quantisation against plain NumPy: values, gradients, running ranges, deployed forms."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.conftest import seeded
from paddlevideo.modeling.layers import fake_quantization
from paddlevideo.modeling.layers.convolution import ConvBlock, Convolution
from paddlevideo.modeling.layers.deployment import Deployment
from paddlevideo.modeling.layers.fake_quantization import (
    fake_quantize,
    fake_quantize_kernel,
    low_and_high,
)
from paddlevideo.modeling.layers.input_scaling import InputScaling
from paddlevideo.modeling.layers.rounding import Phase, Quantization, RoundedActivation, Rounding
from paddlevideo.utils.eight_bits import Range, range_of

BOTH = pytest.mark.parametrize("compiled", [True, False])


@pytest.fixture
def choose(monkeypatch):
    """Let the operations be compiled kernels, or Paddle's, as on a GPU."""

    def set_to(compiled):
        if not compiled:
            monkeypatch.setattr(fake_quantization, "kernels_for", lambda *_: None)

    return set_to


def numpy_steps(x, found):
    return np.rint(x / np.float32(found.scale)) + found.zero_point


def numpy_rounded(x, found):
    """The operations QuantizeLinear and DequantizeLinear of ONNX, in float32."""
    steps = np.clip(numpy_steps(x, found), 0, 255)
    return ((steps - found.zero_point) * np.float32(found.scale)).astype(np.float32)


@BOTH
@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (0.0, 6.0), (-3.0, 0.0), (0.0, 255.0)])
def test_values_and_gradients(bounds, compiled, choose):
    choose(compiled)
    found = range_of(*bounds)
    x = paddle.to_tensor(2 * seeded((3, 4, 5, 60, 7)), stop_gradient=False)
    y = fake_quantize(x, found)
    np.testing.assert_array_equal(y.numpy(), numpy_rounded(x.numpy(), found))
    gradient = seeded(x.shape, 1)
    (y * paddle.to_tensor(gradient)).sum().backward()
    steps = numpy_steps(x.numpy(), found)
    inside = (steps >= 0) & (steps <= 255)
    assert 0 < inside.mean() < 1 or bounds[1] == 255.0
    np.testing.assert_array_equal(x.grad.numpy(), np.where(inside, gradient, 0.0))


@BOTH
def test_halves_are_rounded_to_even(compiled, choose):
    choose(compiled)
    x = paddle.to_tensor([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 300.0, -300.0])
    y = fake_quantize(x, Range(1.0, 128)).numpy()
    np.testing.assert_array_equal(y, [0, 2, 2, 0, -2, -2, 127, -128])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40))
def test_what_is_rounded_stays(values):
    """Rounding twice is rounding once, zero is exact, and errors are at most half a step."""
    x = np.array([0.0, *values], np.float32)
    found = range_of(float(x.min()), float(x.max()))
    once = fake_quantize(paddle.to_tensor(x), found).numpy()
    twice = fake_quantize(paddle.to_tensor(once), found).numpy()
    np.testing.assert_array_equal(once, twice)
    assert once[0] == 0.0
    if np.abs(x).max() > 1e-30:  # the zero point is a whole step: half a step at an end
        assert np.abs(once - x).max() <= found.scale * 1.001


@BOTH
def test_extremes(compiled, choose):
    choose(compiled)
    x = seeded((7, 50, 90))
    assert low_and_high(paddle.to_tensor(x)) == (x.min(), x.max())


@pytest.mark.parametrize("output_axis", [0, 1])
def test_kernels(output_axis):
    """127 steps for the largest of each output channel of weight x factor; the gradient passes."""
    weight = seeded((6, 5))
    factor = np.float32([[2.0], [0.5], [-1.0], [0.0], [3.0], [1.0]])
    tensor = paddle.to_tensor(weight, stop_gradient=False)
    y = fake_quantize_kernel(tensor, factor, output_axis)
    y.sum().backward()
    product = weight * factor
    scale = np.abs(product).max(axis=1 - output_axis, keepdims=True) / np.float32(127)
    rounded = np.rint(product / np.where(scale > 0, scale, 1)) * scale
    expected = np.where(factor != 0, rounded / np.where(factor != 0, factor, 1), weight)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(tensor.grad.numpy(), np.ones_like(weight))


def test_a_range_follows_what_it_sees():
    """The first batch's own, then a moving average; only steps with gradients move it."""
    quantization = Quantization(momentum=0.75)
    rounding = Rounding(quantization)
    batches = [seeded((4, 9), seed) for seed in range(4)]
    x = [paddle.to_tensor(batch) for batch in batches]
    assert rounding(x[0]) is x[0] and rounding.bounds() == (0.0, 0.0)  # Phase.FLOAT
    quantization.phase = Phase.FIXED
    assert rounding(x[0]) is x[0]  # it has seen nothing
    quantization.phase = Phase.OBSERVING
    with paddle.no_grad():
        assert rounding(x[0]) is x[0]
    expected = None
    for tensor, batch in zip(x, batches, strict=True):
        y = rounding(tensor)
        seen = np.array([batch.min(), batch.max()])
        expected = seen if expected is None else 0.75 * expected + 0.25 * seen
        np.testing.assert_allclose(rounding.bounds(), expected, rtol=1e-6)
        np.testing.assert_array_equal(y.numpy(), numpy_rounded(batch, range_of(*rounding.bounds())))
    before = rounding.bounds()
    quantization.phase = Phase.FIXED
    rounding(x[0])
    assert rounding.bounds() == before
    assert [name for name in rounding.state_dict()] == ["rounding_range"]
    assert rounding.rounding_range.stop_gradient


@pytest.mark.parametrize("factor", [1.0, 0.5, -2.0, 0.0])
def test_a_deployed_rounding_is_of_the_tensor_times_a_factor(factor):
    quantization = Quantization()
    rounding = Rounding(quantization)
    quantization.phase = Phase.OBSERVING
    x = paddle.to_tensor(seeded((40, 50)))
    rounded = rounding(x)
    deployed = rounding.deployed(factor)(x * factor)
    np.testing.assert_allclose(deployed.numpy(), rounded.numpy() * factor, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("name", "count"), [("relu6", 1), ("identity", 1), ("hard_swish", 2)])
def test_activations_that_convolutions_take_along_have_one_rounding(name, count):
    layer = RoundedActivation(name, Quantization())
    assert sum(isinstance(part, Rounding) for part in layer.sublayers()) == count


@pytest.mark.parametrize("activation", ["relu6", "swish"])
@pytest.mark.parametrize("std", [(1.0, 1.0, 1.0), (0.2, 0.3, 0.4)])
def test_a_first_block_and_its_deployed_form(activation, std):
    """The kernel is rounded with batch norm and the pixels' scaling in it, statistics stay."""
    paddle.seed(0)
    block = ConvBlock(Convolution(3, 8, (1, 3, 3), stride=2), activation)
    block.bn._mean.set_value(0.1 * seeded(8))
    block.bn._variance.set_value(np.float32(0.5) + np.abs(seeded(8, 1)))
    statistics = block.bn._mean.numpy().copy()
    scaling, quantization = InputScaling(std=std), Quantization()
    block.quantize(quantization, scaling)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 12, 14), np.uint8)
    quantization.phase = Phase.OBSERVING
    loss = block(scaling(paddle.to_tensor(pixels))).sum()
    loss.backward()
    assert all(p.grad is not None for p in block.parameters() if not p.stop_gradient)
    np.testing.assert_array_equal(block.bn._mean.numpy(), statistics)
    expected = block(scaling(paddle.to_tensor(pixels))).transpose([0, 2, 1, 3, 4])
    deployed = block.deployed(Deployment(3), (12, 14))
    (tap,) = deployed.taps
    factor = scaling.factor.numpy().reshape(1, 3, 1, 1)
    kernel = tap.numpy() * factor
    steps = kernel / np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) * 127
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)  # on int8 where pixels enter
    frames = scaling(paddle.to_tensor(pixels)).transpose([0, 2, 1, 3, 4]).reshape([6, 3, 12, 14])
    found = deployed(frames).numpy().reshape(expected.shape)
    # A sum in another order may lie on the other side of a half: rarely, and by one step.
    found_range = range_of(*block.rounding.after.bounds())
    apart = np.abs(found - expected.numpy()) / found_range.scale
    assert apart.max() <= 2.01 and (apart > 0.01).mean() < 0.01
