"""Every value of every option: it builds, trains a step, and streams where it is causal."""

import numpy as np
import paddle
import pytest

import paddlevideo
from modeling.conftest import randomise, relative_error, seeded
from paddlevideo.modeling.backbones.movinet import MoViNet
from paddlevideo.modeling.states import StateExchange
from paddlevideo.utils.errors import ConfigError, DataError

CONV_TYPES = ("3d", "2plus1d", "3d_2plus1d")
ACTIVATIONS = (
    *("swish", "hard_swish", "sigmoid", "hard_sigmoid", "relu"),
    *("relu6", "mish", "gelu", "leaky_relu", "identity"),
)
SE_TYPES = ("3d", "2d", "2plus3d", "none")
# Every pair of a convolution and a gate, with activations, heads and the rest taking turns.
CASES = [
    {
        "causal": causal,
        "conv_type": conv_type,
        "se_type": se_type,
        "activation": ACTIVATIONS[(4 * i + j) % len(ACTIVATIONS)],
        "gating_activation": ACTIVATIONS[(i + 5 * j) % len(ACTIVATIONS)],
        "classifier_activation": ACTIVATIONS[(i + 3 * j + 1) % len(ACTIVATIONS)],
        "use_positional_encoding": causal and (i + j) % 2 == 0,
        "average_pooling_type": ("3d", "2d")[(i + j) % 2],
        "stochastic_depth": (0.0, 0.3)[j % 2],
        "recompute": (i + j) % 3 == 0,
    }
    for causal in (False, True)
    for i, conv_type in enumerate(CONV_TYPES)
    for j, se_type in enumerate(SE_TYPES)
]


def frames_of(options) -> int:
    """Without a mean over time one frame is classified."""
    return 1 if options["average_pooling_type"] == "2d" else 3


def short(options) -> str:
    return "-".join(str(value) for value in options.values())


@pytest.mark.parametrize("options", CASES, ids=short)
def test_combination(options):
    assert {case["activation"] for case in CASES} == set(ACTIVATIONS)
    # Statistics of the step itself, or values without bound would grow from layer to layer.
    model = paddlevideo.create_model("movinet_t0_base", num_classes=3, bn_momentum=0.0, **options)
    randomise(model).train()
    num_frames = frames_of(options)
    clip = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 34, 33)).astype("uint8")
    batch = {"clip": paddle.to_tensor(clip[:, :num_frames]), "label": paddle.to_tensor([0, 2])}
    loss = model.loss(batch)["loss"]
    loss.backward()
    assert np.isfinite(loss.item())
    for name, parameter in model.named_parameters():
        if not parameter.stop_gradient:
            assert np.isfinite(parameter.grad.numpy()).all(), name
    model.eval()
    if not options["causal"]:
        return
    states = model.init_states(2, 34, 33)
    with paddle.no_grad():
        whole = model(batch["clip"]).numpy()
        for frame in range(num_frames):
            logits, states = model.step(paddle.to_tensor(clip[:, [frame]]), states)
    assert relative_error(logits, whole) < 1e-5


# --- what the network ends with


@pytest.mark.parametrize("causal", [False, True])
def test_poolings_are_means_of_the_same_maps(causal):
    x = paddle.to_tensor(seeded((2, 3, 4, 40, 33)))
    out, endpoints = {}, {}
    for kind in ("3d", "2d", "none"):
        network = randomise(MoViNet("T0", causal=causal, average_pooling_type=kind)).eval()
        with paddle.no_grad():
            out[kind] = network(x, endpoints=endpoints).numpy()
        assert network.out_axes == {"3d": "BC", "2d": "BTC", "none": "BCTHW"}[kind]
        assert np.array_equal(endpoints["head"].numpy(), out[kind])
    assert out["none"].shape == (2, 240, 4, 2, 2) and out["2d"].shape == (2, 4, 240)
    assert relative_error(out["2d"], out["none"].mean(axis=(3, 4)).transpose(0, 2, 1)) < 1e-6
    assert relative_error(out["3d"], out["2d"].mean(axis=1)) < 1e-6


@pytest.mark.parametrize("kind", ["2d", "none"])
def test_states_of_the_head_pass_through(kind):
    """Spec section 2.13; the other states go on, so a stream is still its clip."""
    network = randomise(MoViNet("T0", causal=True, average_pooling_type=kind)).eval()
    x = paddle.to_tensor(seeded((2, 3, 4, 32, 32)))
    states = {spec.name: spec.zeros(2) for spec in network.state_specs(32, 32)}
    states["state_head_pool_buffer"] += 7.0
    states["state_head_pool_frame_count"] += 7
    parts = []
    with paddle.no_grad():
        for frames in (x[:, :, :1], x[:, :, 1:]):
            exchange = StateExchange(states)
            parts.append(network(frames, exchange))
            assert set(exchange.new) == set(states)
            states = exchange.new
        whole = network(x).numpy()
    assert relative_error(paddle.concat(parts, axis=1 if kind == "2d" else 2), whole) < 1e-5
    assert (states["state_head_pool_buffer"].numpy() == 7).all()
    assert states["state_head_pool_frame_count"].tolist() == [7, 7]


def test_a_vector_per_frame_and_the_classifier():
    model = randomise(paddlevideo.create_model("movinet_t0_base", 3, average_pooling_type="2d"))
    model.eval()
    with paddle.no_grad():
        assert model(paddle.zeros([2, 1, 3, 32, 32])).shape == [2, 3]
        with pytest.raises(DataError, match="4 frames give as many vectors, and one is classified"):
            model(paddle.zeros([2, 4, 3, 32, 32]))


def test_maps_are_not_for_a_classifier():
    with pytest.raises(ConfigError, match="average_pooling_type: none is for the backbone alone"):
        paddlevideo.create_model("movinet_t0_base", 3, average_pooling_type="none")
    with pytest.raises(ConfigError, match=r"pooling_type: .*'3d', '2d' or 'none', got '1d'"):
        paddlevideo.create_model("movinet_t0_base", 3, average_pooling_type="1d")
