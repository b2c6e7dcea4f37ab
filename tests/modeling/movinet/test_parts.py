"""Padding, widths, pools, attention, positions, stochastic depth, initial values, options."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.conftest import STREAM, relative_error, seeded
from paddlevideo.modeling.backbones.movinet import MoViNet
from paddlevideo.modeling.backbones.movinet.bottleneck import FeatureBlock, Shortcut
from paddlevideo.modeling.backbones.movinet.options import MoViNetOptions
from paddlevideo.modeling.backbones.movinet.specs import LayerSpec, spec_of
from paddlevideo.modeling.layers.padding import same_padding
from paddlevideo.modeling.layers.positional_encoding import PositionalEncoding
from paddlevideo.modeling.layers.residual import Rezero, StochasticDepth
from paddlevideo.modeling.layers.running_mean import RunningMean, spatial_mean
from paddlevideo.modeling.layers.squeeze_excitation import SqueezeExcitation, make_divisible
from paddlevideo.modeling.states import StateExchange
from paddlevideo.utils.errors import ConfigError


def zero_states(layer, batch=2):
    return {spec.name: spec.zeros(batch) for spec in layer.state_specs()}


def in_chunks(layer, x, sizes, states, axis=2):
    """Outputs of a layer fed chunk by chunk, and its last states."""
    outputs, start = [], 0
    for size in sizes:
        exchange = StateExchange(states)
        chunk = paddle.slice(x, [axis], [start], [start + size])
        outputs.append(layer(chunk, exchange))
        states, start = exchange.new, start + size
    return outputs, states


# --- padding and widths


@pytest.mark.parametrize(
    ("kernel", "stride", "even", "odd"),
    [
        (3, 1, (1, 1), (1, 1)),
        (5, 1, (2, 2), (2, 2)),
        (3, 2, (0, 1), (1, 1)),
        (5, 2, (1, 2), (2, 2)),
    ],
)
def test_same_padding(kernel, stride, even, odd):
    assert {same_padding(size, kernel, stride) for size in range(8, 300, 2)} == {even}
    assert {same_padding(size, kernel, stride) for size in range(7, 300, 2)} == {odd}


@given(size=st.integers(1, 500), kernel=st.integers(1, 7), stride=st.integers(1, 4))
def test_same_padding_by_the_formula_of_causal_layers(size, kernel, stride):
    total = max(kernel - ((size - 1) % stride + 1), 0)
    assert same_padding(size, kernel, stride) == (total // 2, total - total // 2)


def test_make_divisible():
    widths = {24: 8, 80: 24, 112: 32, 184: 48, 280: 72, 344: 88, 384: 96}
    assert {w: make_divisible(0.25 * w) for w in widths} == widths
    doubled = {24: 16, 80: 40, 112: 56, 184: 96, 280: 144, 344: 176, 384: 192}
    assert {w: make_divisible(0.25 * 2 * w) for w in doubled} == doubled
    assert make_divisible(1) == 8 and make_divisible(11) == 16 and make_divisible(12) == 16
    assert make_divisible(18) == 24  # 16 would be more than 10 % below


# --- pools


def test_spatial_mean():
    x = seeded((2, 3, 4, 5, 7))
    assert relative_error(spatial_mean(paddle.to_tensor(x)), x.mean(axis=(3, 4))) < 1e-6


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), per_frame=st.booleans())
def test_running_mean_of_chunks_is_that_of_the_whole(sizes, per_frame):
    x = seeded((2, 3, sum(sizes))) + 1
    layer = RunningMean(3, "state_x", per_frame=per_frame)
    whole = layer(paddle.to_tensor(x), None).numpy()
    up_to = x.cumsum(axis=2) / np.arange(1, x.shape[2] + 1)
    assert relative_error(whole, up_to if per_frame else up_to[:, :, -1:]) < 1e-5
    outputs, states = in_chunks(layer, paddle.to_tensor(x), sizes, zero_states(layer))
    if per_frame:
        assert relative_error(paddle.concat(outputs, axis=2), whole) < 1e-5
    else:
        ends = np.cumsum(sizes) - 1
        assert relative_error(paddle.concat(outputs, axis=2), up_to[:, :, ends]) < 1e-5
    assert states["state_x_pool_frame_count"].tolist() == [x.shape[2]] * 2
    assert relative_error(states["state_x_pool_buffer"], x.sum(axis=2)) < 1e-5


# --- positions


@pytest.mark.parametrize("channels", [8, 96])
def test_positional_encoding(channels):
    layer = PositionalEncoding(channels, "state_x")
    layer.scale.set_value(np.float32([0.7]))
    exchange = StateExchange({"state_x_pos_enc_frame_count": paddle.to_tensor([0, 5], "int32")})
    x = seeded((2, channels, 4))
    ours = layer(paddle.to_tensor(x), exchange).numpy()
    assert exchange.new["state_x_pos_enc_frame_count"].tolist() == [4, 9]

    def encoding(position: int) -> list[float]:
        def angle(i: int) -> float:
            return position * 10000.0 ** (-2.0 * (i // 2) / channels)

        sines = [np.sin(angle(i)) for i in range(0, channels, 2)]
        return sines + [np.cos(angle(i)) for i in range(1, channels, 2)]

    for sample, first in enumerate((0, 5)):
        for t in range(4):
            expected = x[sample, :, t] + 0.7 * np.array(encoding(first + t))
            np.testing.assert_allclose(ours[sample, :, t], expected, rtol=1e-5, atol=1e-5)


def test_positional_encoding_of_a_clip_is_that_of_a_new_stream():
    layer = PositionalEncoding(8, "state_x")
    layer.scale.set_value(np.float32([0.7]))
    x = paddle.to_tensor(seeded((2, 8, 6)))
    outputs, _ = in_chunks(layer, x, [2, 1, 3], zero_states(layer))
    assert relative_error(paddle.concat(outputs, axis=2), layer(x, None)) < 1e-6


def test_a_new_positional_encoding_adds_nothing():
    x = paddle.to_tensor(seeded((2, 8, 6)))
    assert paddle.equal_all(PositionalEncoding(8, "state_x")(x, None), x)


# --- squeeze-excitation


def gate_by_hand(layer, pooled_BTC):
    """The two dense layers with swish and sigmoid, in NumPy."""

    def dense(x, linear):
        return x @ linear.weight.numpy() + linear.bias.numpy()

    hidden = dense(pooled_BTC, layer.reduce)
    hidden = hidden / (1 + np.exp(-hidden))
    return 1 / (1 + np.exp(-dense(hidden, layer.expand)))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("se_type", ["3d", "2d", "2plus3d"])
def test_squeeze_excitation(se_type, causal):
    layer = SqueezeExcitation(16, se_type, "state_x", causal)
    for tensor in layer.state_dict().values():
        tensor.set_value(seeded(tensor.shape, 5))
    x = seeded((2, 16, 5, 3, 4))
    space = x.mean(axis=(3, 4)).transpose(0, 2, 1)
    count = np.arange(1, 6).reshape(1, 5, 1)
    time = space.cumsum(axis=1) / count if causal else space.mean(axis=1, keepdims=True)
    both = np.concatenate([np.broadcast_to(time, space.shape), space], axis=2)
    pooled = {"3d": time, "2d": space, "2plus3d": both}[se_type]
    gate = gate_by_hand(layer, pooled).transpose(0, 2, 1)[..., None, None]
    ours = layer(paddle.to_tensor(x), None)
    assert relative_error(ours, x * gate) < 1e-5
    assert layer.reduce.weight.shape[0] == (32 if se_type == "2plus3d" else 16)
    if causal:
        outputs, _ = in_chunks(layer, paddle.to_tensor(x), [1, 3, 1], zero_states(layer))
        assert relative_error(paddle.concat(outputs, axis=2), ours) < 1e-5


def test_no_squeeze_excitation():
    network = MoViNet("T0", se_type="none", causal=True)
    assert all(block.attention is None for block in network.blocks.values())
    names = [spec.name for spec in network.state_specs(32, 32)]
    assert len(names) == 8 + 3 and not any("block" in name and "pool" in name for name in names)


# --- causal convolutions, shortcuts


@pytest.mark.parametrize("conv_type", ["3d", "2plus1d"])
@pytest.mark.parametrize("sizes", [[1] * 6, [4, 2], [1, 5]])
def test_feature_block_streams(conv_type, sizes):
    options = MoViNetOptions(causal=True, conv_type=conv_type)
    spec = LayerSpec(1, 0, 4, 4, 4, (5, 3, 3), stride=2)
    layer = FeatureBlock(spec, options)
    layer.eval()
    x = paddle.to_tensor(seeded((2, 4, 6, 7, 6)))
    whole = layer(x, None)
    assert whole.shape == [2, 4, 6, 4, 3]
    size = (7, 6) if conv_type == "3d" else (4, 3)
    states = {layer.state_name: paddle.zeros([2, 4, 4, *size])}
    outputs, states = in_chunks(layer, x, sizes, states)
    assert relative_error(paddle.concat(outputs, axis=2), whole) < 1e-5
    assert states[layer.state_name].shape == [2, 4, 4, *size]


def test_causal_means_that_the_future_does_not_matter():
    network = MoViNet("T0", **STREAM).eval()
    for block in network.blocks.values():
        block.rezero.scale.set_value(np.float32([0.5]))
    x = seeded((1, 3, 6, 32, 32))
    changed = x.copy()
    changed[:, :, 4:] += 1.0
    layers = [{}, {}]
    with paddle.no_grad():
        for clip, endpoints in zip((x, changed), layers, strict=True):
            network(paddle.to_tensor(clip), endpoints=endpoints)
    last = [endpoints["block4_layer3"].numpy() for endpoints in layers]
    np.testing.assert_allclose(last[0][:, :, :4], last[1][:, :, :4], rtol=1e-4, atol=1e-5)
    assert np.abs(last[0][:, :, 4:] - last[1][:, :, 4:]).max() > 1e-3


@pytest.mark.parametrize("size", [(6, 7), (8, 8), (5, 5), (1, 1)])
def test_the_shortcut_averages_real_pixels_only(size):
    spec = LayerSpec(1, 0, 2, 2, 2, (1, 3, 3), stride=2)
    layer = Shortcut(spec, MoViNetOptions(), None).eval()
    layer.project = paddle.nn.Identity()
    x = seeded((1, 2, 3, *size))
    starts = [same_padding(n, 3, 2)[0] for n in size]
    expected = np.zeros((1, 2, 3, -(-size[0] // 2), -(-size[1] // 2)))
    for i in range(expected.shape[3]):
        for j in range(expected.shape[4]):
            top, left = 2 * i - starts[0], 2 * j - starts[1]
            window = x[..., max(top, 0) : top + 3, max(left, 0) : left + 3]
            expected[..., i, j] = window.mean(axis=(3, 4))
    assert relative_error(layer(paddle.to_tensor(x)), expected) < 1e-5


# --- stochastic depth, rezero


def test_stochastic_depth():
    layer = StochasticDepth(0.3)
    branch = paddle.to_tensor(np.abs(seeded((2000, 2, 1, 1, 3))) + 1)
    layer.train()
    ratio = (layer(branch) / branch).numpy()
    per_sample = ratio.reshape(2000, -1)
    assert np.all(np.ptp(per_sample, axis=1) < 1e-6)  # a sample is kept or dropped as a whole
    kept = per_sample[:, 0] > 0
    np.testing.assert_allclose(per_sample[kept], 1 / 0.7, rtol=1e-5)
    assert kept.mean() == pytest.approx(0.7, abs=0.04)
    layer.eval()
    assert paddle.equal_all(layer(branch), branch)


def test_stochastic_depth_grows_linearly():
    network = MoViNet("A0", stochastic_depth=0.2)
    rates = [1 - block.stochastic_depth.keep_rate for block in network.blocks.values()]
    np.testing.assert_allclose(rates, [0.2 * number / 15 for number in range(1, 16)], atol=1e-12)


def test_stochastic_depth_reaches_the_network():
    network = MoViNet("T0", stochastic_depth=0.9)
    for block in network.blocks.values():
        block.rezero.scale.set_value(np.float32([0.5]))
        for part in block.sublayers():
            part.training = isinstance(part, StochasticDepth)
    network.project.eval(), network.stem.eval()
    x = paddle.to_tensor(np.repeat(seeded((1, 3, 2, 32, 32)), 8, axis=0))
    with paddle.no_grad():
        y = network(x).numpy()
    assert np.abs(y - y[:1]).max() > 1e-3
    network.eval()
    with paddle.no_grad():
        y = network(x).numpy()
    np.testing.assert_allclose(y, np.repeat(y[:1], 8, axis=0), rtol=1e-4, atol=1e-5)


def test_rezero():
    layer = Rezero()
    x = paddle.to_tensor(seeded((2, 3)))
    assert layer.scale.shape == [1] and not layer(x).numpy().any()
    layer.scale.set_value(np.float32([0.25]))
    np.testing.assert_allclose(layer(x).numpy(), 0.25 * x.numpy())


# --- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_positional_encoding": True}, "needs causal: true"),
        ({"padding": "paddlevideo", "causal": True}, "non-causal"),
        ({"padding": "paddlevideo", "model_type": "A1"}, "exists for A0 only, not A1"),
        ({"stochastic_depth": 1.0}, r"stochastic_depth is 1.0, expected \[0, 1\)"),
        ({"stochastic_depth": -0.1}, "stochastic_depth"),
        ({"activation": "swich"}, 'unknown activation "swich"; did you mean "swish"'),
        ({"gating_activation": "sigmoidal"}, "unknown activation"),
        ({"model_type": "A9"}, 'no model_type "A9"'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        MoViNet(**options)


def test_a_network_that_is_not_causal_has_no_states():
    with pytest.raises(ConfigError, match="only a causal network has states"):
        MoViNet("T0").state_specs(32, 32)


def test_model_type_in_any_case():
    assert spec_of("a0") is spec_of("A0")
    assert MoViNet("a0", padding="paddlevideo").spec is spec_of("A0")
