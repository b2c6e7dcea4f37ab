"""The exported form of a step: the recognizer's own step, with everything folded."""

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import paddlevideo
from modeling.conftest import randomise, relative_error
from paddlevideo.modeling.layers.activations import ACTIVATIONS, activation, as_one_operation
from paddlevideo.modeling.states import QueueSpec
from paddlevideo.utils.errors import ConfigError

TOLERANCE = 1e-5
SMOOTH = ("swish", "hard_swish", "relu", "relu6", "mish", "gelu", "leaky_relu", "tanh", "identity")
GATES = ("sigmoid", "hard_sigmoid", "keras_hard_sigmoid", "tanh")


def frames_of(batch, height, width, number, dtype="uint8"):
    values = np.random.default_rng(height).integers(0, 256, (number, batch, 3, height, width))
    return values.astype(dtype)


def run_both(model, frames):
    """Logits of every frame by the recognizer's step, and by its step program."""
    _, batch, _, height, width = frames.shape
    program = model.step_program(height, width).eval()
    states = model.init_states(batch, height, width)
    queues = [
        [paddle.zeros([batch, *queue.shape], queue.dtype) for _ in range(queue.length)]
        for queue in program.queues
    ]
    ours, expected = [], []
    with paddle.no_grad():
        for frame in frames:
            frame_BCHW = paddle.to_tensor(frame)
            logits, states = model.step(frame_BCHW.unsqueeze(1), states)
            result = program(frame_BCHW, *[tensor for queue in queues for tensor in queue])
            for queue, spec, newest in zip(queues, program.queues, result[1:], strict=True):
                assert newest.shape == [batch, *spec.shape] and newest.ndim <= 4
                queue[:] = [*queue[1:], newest]
            ours.append(result[0].numpy())
            expected.append(logits.numpy())
    return np.stack(ours), np.stack(expected)


def move_last_bits(model):
    """Move every weight by its last bit, up or down."""
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        weights = parameter.numpy()
        up_or_down = np.float32(np.inf) * rng.choice([-1, 1], weights.shape).astype("float32")
        parameter.set_value(np.nextafter(weights, up_or_down))


@given(
    conv_type=st.sampled_from(("3d", "2plus1d", "3d_2plus1d")),
    se_type=st.sampled_from(("3d", "2d", "2plus3d", "none")),
    act=st.sampled_from(SMOOTH),
    gate=st.sampled_from(GATES),
    positions=st.booleans(),
    size=st.tuples(st.integers(30, 50), st.integers(30, 50)),
    batch=st.integers(1, 2),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_option(conv_type, se_type, act, gate, positions, size, batch):
    options = {
        "conv_type": conv_type,
        "se_type": se_type,
        "activation": act,
        "gating_activation": gate,
        "use_positional_encoding": positions,
    }
    model = randomise(
        paddlevideo.create_model("movinet_t0_stream", num_classes=4, **options)
    ).eval()
    frames = frames_of(batch, *size, 3)
    ours, expected = run_both(model, frames)
    error = relative_error(ours, expected)
    if error >= TOLERANCE:  # without bounds (identity, tanh) sums may cancel: see how far that goes
        move_last_bits(model)
        assert error < relative_error(run_both(model, frames)[1], expected) < 1e-4


@pytest.mark.parametrize("name", ["movinet_a0_stream", "movinet_a3_stream"])
def test_variants_past_the_end_of_their_buffers(name):
    """A3 has positional encoding, and a block that changes width without a stride."""
    model = randomise(paddlevideo.create_model(name, num_classes=5)).eval()
    ours, expected = run_both(model, frames_of(2, 37, 50, 6))
    assert relative_error(ours, expected) < TOLERANCE


@pytest.mark.parametrize(
    "scaling",
    [
        {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
        {"scale": 1.0},
        {"scale": 1 / 127.5, "mean": [1.0, 1.0, 1.0]},
    ],
)
def test_scaling_of_values_is_folded(scaling):
    """An offset is added before the frame's padding, which has none."""
    from paddlevideo.modeling import build_recognizer, model_section

    section = {**model_section("movinet_t0_stream", num_classes=3), "scaling": scaling}
    model = randomise(build_recognizer(section)).eval()
    dtype = model.input_spec().dtype
    frames = frames_of(2, 33, 40, 3, dtype)
    ours, expected = run_both(model, frames / 255 if dtype == "float32" else frames)
    assert model.step_program(33, 40).dtype == dtype
    assert relative_error(ours, expected) < TOLERANCE


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_as_one_operation(name):
    x = paddle.linspace(-8.0, 8.0, 1001)
    operation, factor = as_one_operation(name)
    assert relative_error((operation(x) * factor).numpy(), activation(name)(x).numpy()) < 1e-6


def test_the_models_weights_are_left_alone():
    model = randomise(paddlevideo.create_model("movinet_t0_stream", num_classes=3)).eval()
    before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    program = model.step_program(32, 32)
    for parameter in program.parameters():
        parameter.set_value(parameter * 0)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


def test_names_of_queues():
    assert QueueSpec("a", 1, (2,)).input_names == ["a"]
    assert QueueSpec("a", 3, (2,)).input_names == ["a_0", "a_1", "a_2"]
    model = paddlevideo.create_model("movinet_a0_stream", num_classes=3)
    queues = model.step_program(32, 32).queues
    names = [name for queue in queues for name in (*queue.input_names, queue.output_name)]
    assert len(set(names)) == len(names)
    assert queues[0] == QueueSpec("frame_count", 1, (1, 1, 1), "int32")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"causal": False, "conv_type": "3d"}, "only a causal network runs frame by frame"),
        ({"average_pooling_type": "2d"}, "average_pooling_type: 3d"),
    ],
)
def test_networks_without_a_step(options, message):
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=3, **options)
    assert not model.has_step_program
    with pytest.raises(ConfigError, match=message):
        model.step_program(32, 32)
