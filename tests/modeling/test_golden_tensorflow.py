"""The arithmetic of TensorFlow Model Garden: forward, one training step, and the stream."""

from collections import OrderedDict

import numpy as np
import paddle
import pytest

from modeling.conftest import (
    STREAM,
    TOLERANCE,
    part,
    pixels,
    relative_error,
    shapes_of,
    tensorflow_model,
)
from paddlevideo.convert.movinet_tensorflow import from_tensorflow
from paddlevideo.modeling.states import StateExchange


def assert_endpoints(golden, endpoints):
    expected = part(golden, "endpoint/")
    assert set(endpoints) == set(expected) and len(expected) == 17
    for name, tensor in endpoints.items():
        ours = tensor.numpy()
        ours = ours.transpose(0, 2, 3, 4, 1) if ours.ndim == 5 else ours[:, None, None, None]
        assert relative_error(ours, expected[name]) < TOLERANCE, name


def test_base_clip(tf_base):
    endpoints = OrderedDict()
    model = tensorflow_model(tf_base)
    with paddle.no_grad():
        logits = model(pixels(tf_base), endpoints=endpoints)
        probabilities = model.predict({"clip": pixels(tf_base)})
    assert relative_error(logits, tf_base["logits"]) < TOLERANCE
    assert relative_error(probabilities, tf_base["probs"]) < TOLERANCE
    assert_endpoints(tf_base, endpoints)


@pytest.fixture(scope="module")
def trained(tf_base):
    """Base model after the forward and backward of one training step."""
    model = tensorflow_model(tf_base)
    model.train()
    model.head.dropout.p = 0.0
    out = model.loss({"clip": pixels(tf_base), "label": paddle.to_tensor(tf_base["train_labels"])})
    out["loss"].backward()
    return model, out


def test_training_step_loss(tf_base, trained):
    _, out = trained
    assert out["loss"].item() == pytest.approx(float(tf_base["train_loss"]), rel=1e-6)
    assert relative_error(out["logits"], tf_base["train_logits"]) < TOLERANCE


def test_training_step_gradients(tf_base, trained):
    """To 1e-4 of each tensor's largest.

    Some gradients are 0 but for rounding (a shift before a batch norm): those are held to 1e-6
    of the largest of the network.
    """
    model, _ = trained
    parameters = dict(model.named_parameters())
    expected, left_over = from_tensorflow(
        part(tf_base, "grad/"), shapes_of(parameters), list(model.backbone.blocks.keys())
    )
    trainable = {name for name in parameters if not name.endswith(("_mean", "_variance"))}
    assert set(expected) == trainable and not left_over and len(expected) == 232
    largest = max(np.abs(array).max() for array in expected.values())
    for name, array in expected.items():
        error = np.abs(parameters[name].grad.numpy() - array).max()
        assert error < TOLERANCE * largest, name
        assert error < 1e-4 * np.abs(array).max() + 1e-6 * largest, name


def assert_running_statistics(golden, model, num_layers):
    """Those after one training step, and what the step changed."""
    state = model.state_dict()
    after, left_over = from_tensorflow(
        part(golden, "train_weight/"), shapes_of(state), list(model.backbone.blocks.keys())
    )
    before, _ = from_tensorflow(
        part(golden, "weight/"), shapes_of(state), list(model.backbone.blocks.keys())
    )
    assert not left_over and len(after) == 2 * num_layers
    for name, array in after.items():
        assert relative_error(state[name], array) < 1e-6, name
        # The change of one step is 1 % of the values: it is compared by itself.
        change = array - before[name]
        assert relative_error(state[name].numpy() - before[name], change) < 1e-3, name


def test_training_step_running_statistics(tf_base, trained):
    model, _ = trained
    assert_running_statistics(tf_base, model, num_layers=51)


def test_stream_model_on_a_clip(tf_stream):
    endpoints = OrderedDict()
    with paddle.no_grad():
        logits = tensorflow_model(tf_stream, **STREAM)(pixels(tf_stream), endpoints=endpoints)
    assert relative_error(logits, tf_stream["logits"]) < TOLERANCE
    assert_endpoints(tf_stream, endpoints)


@pytest.mark.parametrize("conv_type", ["2plus1d", "3d_2plus1d"])
def test_stream_model_training_step(tf_stream, conv_type):
    model = tensorflow_model(tf_stream, **{**STREAM, "conv_type": conv_type})
    model.train()
    model.head.dropout.p = 0.0
    labels = paddle.to_tensor(tf_stream["train_labels"])
    out = model.loss({"clip": pixels(tf_stream), "label": labels})
    assert out["loss"].item() == pytest.approx(float(tf_stream["train_loss"]), rel=1e-6)
    assert relative_error(out["logits"], tf_stream["train_logits"]) < TOLERANCE
    assert_running_statistics(tf_stream, model, num_layers=62)


def zero_states(model, height, width, batch):
    return {spec.name: spec.zeros(batch) for spec in model.backbone.state_specs(height, width)}


@paddle.no_grad()
def stream(model, clip_BTCHW, states, sizes):
    """Logits and states after each chunk."""
    outputs, start = [], 0
    for size in sizes:
        exchange = StateExchange(states)
        x = model.scaling(clip_BTCHW[:, start : start + size])
        outputs.append((model.head(model.backbone(x, exchange)).numpy(), exchange.new))
        states, start = exchange.new, start + size
    assert start == clip_BTCHW.shape[1]
    return outputs


def assert_states(ours, expected):
    """TF keeps [B, T, H, W, C] and one counter for the whole batch."""
    ours = {n: tensor for n, tensor in ours.items() if not n.endswith("pool_rest")}  # ours alone
    assert set(ours) == set(expected)
    for name, tensor in ours.items():
        array = tensor.numpy()
        if name.endswith("frame_count"):
            assert array.dtype == np.int32
            assert array.tolist() == [int(expected[name][0])] * len(array), name
        elif name.endswith("pool_buffer"):
            assert relative_error(array, expected[name].reshape(array.shape)) < TOLERANCE, name
        elif np.abs(expected[name]).max() == 0.0:  # what has not been seen yet
            assert not array.any(), name
        else:
            theirs = expected[name].transpose(0, 4, 1, 2, 3)
            assert relative_error(array, theirs) < TOLERANCE, name


def test_states_at_the_start(tf_stream):
    model = tensorflow_model(tf_stream, **STREAM)
    specs = {spec.name: spec for spec in model.backbone.state_specs(64, 64)}
    specs = {name: spec for name, spec in specs.items() if not name.endswith("pool_rest")}
    expected = part(tf_stream, "state_init_shape/")
    assert list(specs) == list(expected) and len(expected) == 43
    for name, shape in expected.items():
        shape = shape.tolist()
        if name.endswith("frame_count"):
            assert shape == [1] and specs[name].shape == () and specs[name].dtype == "int32"
        elif name.endswith("pool_buffer"):
            assert list(specs[name].shape) == shape[-1:] and specs[name].dtype == "float32"
        else:
            _, frames, height, width, channels = shape
            assert list(specs[name].shape) == [channels, frames, height, width]


def test_frame_by_frame(tf_stream):
    model = tensorflow_model(tf_stream, **STREAM)
    clip = pixels(tf_stream)
    steps = stream(model, clip, zero_states(model, 64, 64, 2), [1] * 6)
    for (logits, _), expected in zip(steps, tf_stream["stream_logits"], strict=True):
        assert relative_error(logits, expected) < TOLERANCE
    assert_states(steps[0][1], part(tf_stream, "state_step0/"))
    assert_states(steps[5][1], part(tf_stream, "state_step5/"))


def test_uneven_chunks(tf_stream):
    model = tensorflow_model(tf_stream, **STREAM)
    sizes = tf_stream["chunk_sizes"].tolist()
    steps = stream(model, pixels(tf_stream), zero_states(model, 64, 64, 2), sizes)
    for (logits, _), expected in zip(steps, tf_stream["chunk_logits"], strict=True):
        assert relative_error(logits, expected) < TOLERANCE
    assert_states(steps[-1][1], part(tf_stream, "state_clip/"))


def test_streams_of_a_batch_are_their_own(tf_stream):
    """One stream can start anew while the other goes on: TF's shared counter cannot."""
    model = tensorflow_model(tf_stream, **STREAM)
    clip = pixels(tf_stream)
    (_, states), *_ = stream(model, clip[:, :4], zero_states(model, 64, 64, 2), [4])
    keep = paddle.to_tensor([1, 0])
    shaped = {n: keep.reshape([2] + [1] * (t.ndim - 1)).astype(t.dtype) for n, t in states.items()}
    states = {name: tensor * shaped[name] for name, tensor in states.items()}
    swapped = paddle.concat([clip[:1, 4:], clip[1:, :2]])
    (logits, _), *_ = stream(model, swapped, states, [2])
    with paddle.no_grad():
        expected = [model(clip[:1]).numpy(), model(clip[1:, :2]).numpy()]
    assert relative_error(logits, np.concatenate(expected)) < TOLERANCE
