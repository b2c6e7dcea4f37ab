"""Running means of streams that have gone on for days, against float64."""

from collections import OrderedDict

import numpy as np
import paddle
import pytest

from paddlevideo.modeling.layers.deployment import Deployment, StepContext
from paddlevideo.modeling.layers.positional_encoding import PositionalEncoding
from paddlevideo.modeling.layers.running_mean import RunningMean
from paddlevideo.modeling.layers.running_sum import compensated_sum
from paddlevideo.modeling.states import StateExchange


@pytest.mark.parametrize("per_frame", [True, False])
@pytest.mark.parametrize("frames_before", [1_000_000, 20_000_000, 500_000_000])
def test_a_mean_goes_on_after_many_frames(per_frame, frames_before):
    layer = RunningMean(3, "state_x", per_frame)
    old_C = np.float32([0.9, 0.05, 3.0]) * np.float32(frames_before)
    added_CT = np.random.default_rng(0).random((3, 2000)).astype(np.float32)
    states = OrderedDict(
        state_x_pool_buffer=paddle.to_tensor(old_C[None]),
        state_x_pool_rest=paddle.zeros([1, 3]),
        state_x_pool_frame_count=paddle.to_tensor([frames_before], "int32"),
    )
    for frame in range(0, 2000, 5):
        exchange = StateExchange(states)
        mean = layer(paddle.to_tensor(added_CT[None, :, frame : frame + 5]), exchange)
        states = exchange.new
    total_C = old_C.astype(np.float64) + added_CT.astype(np.float64).sum(axis=1)
    sums = [states["state_x_pool_buffer"], states["state_x_pool_rest"]]
    held_C = sum(tensor.numpy()[0].astype(np.float64) for tensor in sums)
    # What was added is all there: against it, not against the large sum.
    np.testing.assert_allclose(held_C - old_C, total_C - old_C, rtol=1e-3)
    np.testing.assert_allclose(mean.numpy()[0, :, -1], total_C / (frames_before + 2000), rtol=1e-6)


@pytest.mark.parametrize("values", ["constant", "one_then_zero", "random"])
def test_the_arithmetic_of_many_steps(values):
    """The arithmetic of a step, 2^17 frames behind 2 * 10^7 others."""
    frames = 1 << 17
    x_TC = {
        "constant": np.full((frames, 1), 0.1, np.float32),
        "one_then_zero": np.repeat(np.float32([[0.9], [0.0]]), frames // 2, axis=0),
        "random": np.random.default_rng(1).random((frames, 1)).astype(np.float32),
    }[values]
    before = np.float32(0.3 * 2e7)
    total, rest = before, np.float32(0)
    for x in x_TC[:, 0]:
        added = x + rest
        result = total + added
        total, rest = result, added + (total + result * np.float32(-1))
    exact = float(before) + x_TC.astype(np.float64).sum()
    assert abs(float(total) - exact) < 1e-6 * exact


def test_a_sum_and_its_rest_are_exact():
    total, rest = compensated_sum(
        paddle.full([1], 2.0**25), paddle.full([1], 0.0), paddle.full([1], 1.0)
    )
    assert (total.item(), rest.item()) == (2.0**25, 1.0)


@pytest.mark.parametrize("frame", [0, 1, 127, 128, 70_000, 1_000_000, 2**24 - 1])
def test_positions_of_late_frames(frame):
    """Against float64: n * rate in float32 would be off by 0.03 at a million frames."""
    channels = 96
    rate = 10000.0 ** (-np.arange(0, channels, 2) / channels)
    expected = np.concatenate([np.sin(frame * rate), np.cos(frame * rate)])
    layer = PositionalEncoding(channels, "state_x")
    layer.scale.set_value(np.float32([1.0]))
    states = {layer.count_name: paddle.to_tensor([frame], "int32")}
    found = layer(paddle.zeros([1, channels, 1]), StateExchange(states)).numpy()[0, :, 0]
    np.testing.assert_allclose(found, expected, atol=2e-4)
    context = StepContext({"frame_count": [paddle.full([1, 1, 1, 1], frame, "int32")]})
    zeros = paddle.zeros([1, channels, 1, 1])
    step = layer.deployed(Deployment())(zeros, context).numpy()[0, :, 0, 0]
    np.testing.assert_allclose(step, expected, atol=2e-4)
