"""The exported form of a network for whole clips: the recognizer's own answer, all folded."""

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import paddlevideo
from modeling.conftest import randomise, relative_error
from paddlevideo.modeling import build_recognizer, model_section

TOLERANCE = 1e-5


def clip_of(batch, frames, height, width, dtype="uint8", seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (batch, frames, 3, height, width))
    values = values.astype(dtype)
    return paddle.to_tensor(values if dtype == "uint8" else values / np.float32(255))


def difference(model, clip):
    """Of the folded program and the recognizer, as a share of the largest logit."""
    program = model.eval().clip_program(tuple(clip.shape[i] for i in (1, 3, 4))).eval()
    assert program is not model
    with paddle.no_grad():
        return relative_error(program(clip).numpy(), model(clip).numpy())


@given(
    causal=st.booleans(),
    conv_type=st.sampled_from(("3d", "2plus1d")),
    se_type=st.sampled_from(("3d", "2d", "2plus3d", "none")),
    act=st.sampled_from(("swish", "hard_swish", "relu6")),
    gate=st.sampled_from(("sigmoid", "hard_sigmoid", "keras_hard_sigmoid")),
    positions=st.booleans(),
    frames=st.integers(1, 6),
    size=st.tuples(st.integers(30, 45), st.integers(30, 45)),
    batch=st.integers(1, 2),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_option(causal, conv_type, se_type, act, gate, positions, frames, size, batch):
    options = {
        "causal": causal,
        "conv_type": conv_type,
        "se_type": se_type,
        "activation": act,
        "gating_activation": gate,
        "use_positional_encoding": positions and causal,
    }
    model = randomise(paddlevideo.create_model("movinet_t0_base", num_classes=4, **options))
    assert difference(model, clip_of(batch, frames, *size)) < TOLERANCE


@pytest.mark.parametrize("name", ["movinet_a0_base", "movinet_a3_stream"])
def test_variants(name):
    """A3 has positional encoding, and a block that changes width without a stride."""
    model = randomise(paddlevideo.create_model(name, num_classes=5))
    assert difference(model, clip_of(2, 5, 37, 50)) < TOLERANCE


@pytest.mark.parametrize("side", [64, 75])
def test_the_padding_of_paddlevideo(side):
    model = randomise(
        paddlevideo.create_model("movinet_a0_base", num_classes=5, padding="paddlevideo")
    )
    assert difference(model, clip_of(1, 4, side, 64)) < TOLERANCE


@pytest.mark.parametrize(
    "scaling",
    [{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, {"scale": 1.0}],
)
def test_scaling_of_values_is_folded(scaling):
    section = {**model_section("movinet_t0_base", num_classes=3), "scaling": scaling}
    model = randomise(build_recognizer(section))
    assert difference(model, clip_of(2, 3, 33, 40, model.input_spec().dtype)) < TOLERANCE


def test_the_models_weights_are_left_alone():
    model = randomise(paddlevideo.create_model("movinet_t0_base", num_classes=3)).eval()
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    for parameter in model.clip_program((3, 32, 32)).parameters():
        parameter.set_value(parameter * 0)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_a_network_without_the_mean_over_time_is_exported_as_it_is():
    model = paddlevideo.create_model("movinet_t0_base", num_classes=3, average_pooling_type="2d")
    assert model.clip_program((1, 32, 32)) is model
