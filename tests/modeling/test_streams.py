"""A stream is the clip: any split, any batch, odd sizes, saved and restored, one row anew."""

from collections import OrderedDict

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import paddlevideo
from modeling.conftest import randomise
from paddlevideo.utils.errors import ConfigError, DataError, WeightsError

HEIGHT, WIDTH = 45, 34


def build(name="movinet_t0_stream", **options):
    paddle.seed(1)
    return randomise(paddlevideo.create_model(name, num_classes=6, **options)).eval()


@pytest.fixture(scope="module")
def model():
    return build()


def clips(batch=2, frames=8, height=HEIGHT, width=WIDTH, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (batch, frames, 3, height, width)).astype(np.uint8)


def run(model, clip, sizes, states=None):
    """Step through ``clip`` in pieces of ``sizes``; return the last logits and the states."""
    states = states or model.init_states(len(clip), *clip.shape[3:])
    start, logits = 0, None
    with paddle.no_grad():
        for size in sizes:
            logits, states = model.step(paddle.to_tensor(clip[:, start : start + size]), states)
            start += size
    assert start == clip.shape[1]
    return logits.numpy(), states


def whole(model, clip):
    with paddle.no_grad():
        return model(paddle.to_tensor(clip)).numpy()


def difference(one, other):
    return np.abs(one - other).max() / np.abs(other).max()


@pytest.mark.parametrize(
    "options",
    [
        {"conv_type": "3d"},
        {"conv_type": "3d_2plus1d", "se_type": "3d"},
        {"se_type": "2d"},
        {"se_type": "none", "activation": "relu6"},
        {"use_positional_encoding": True},
    ],
    ids=str,
)
def test_stream_is_clip(options):
    """Options that no registered model has; test_contract.py has the models as they are."""
    model = build(**options)
    clip = clips()
    expected = whole(model, clip)
    assert difference(run(model, clip, [1] * 8)[0], expected) < 1e-5
    assert difference(run(model, clip, [3, 1, 4])[0], expected) < 1e-5


@settings(max_examples=8, deadline=None)
@given(cuts=st.sets(st.integers(1, 6)), seed=st.integers(0, 99), width=st.integers(30, 40))
def test_any_split(model, cuts, seed, width):
    clip = clips(frames=7, width=width, seed=seed)
    sizes = np.diff([0, *sorted(cuts), 7]).tolist()
    assert difference(run(model, clip, sizes)[0], whole(model, clip)) < 1e-5


def test_step_leaves_its_states_alone(model):
    states = model.init_states(1, HEIGHT, WIDTH)
    before = {name: tensor.numpy() for name, tensor in states.items()}
    _, after = run(model, clips(1, 2), [2], states)
    assert list(after) == list(states)
    assert all(np.array_equal(before[name], states[name].numpy()) for name in states)
    assert all(
        after[n].shape == states[n].shape and after[n].dtype == states[n].dtype for n in after
    )
    assert after["state_head_pool_frame_count"].numpy().tolist() == [2]


def test_gradients_flow_through_the_states(model):
    """Those of the whole clip: a step passes its states on, and their gradients back."""
    clip = paddle.to_tensor(clips(2, 4))
    states, gradients = model.init_states(2, HEIGHT, WIDTH), []
    for size in (1, 2, 1):
        logits, states = model.step(clip[:, :size], states)
        clip = clip[:, size:]
    for last in (logits, model(paddle.to_tensor(clips(2, 4)))):
        (last * last).sum().backward()
        named = model.named_parameters()
        gradients.append({n: p.grad.numpy() for n, p in named if not p.stop_gradient})
        model.clear_gradients()
    ours, expected = gradients
    largest = max(np.abs(array).max() for array in expected.values())
    for name, array in expected.items():
        assert np.abs(ours[name] - array).max() < 1e-5 * largest, name


def test_one_stream_of_the_batch_starts_anew(model):
    clip = clips(3, 6)
    _, states = run(model, clip[:, :3], [3])
    states = model.reset_states(states, rows=[1])
    logits, states = run(model, clip[:, 3:], [2, 1], states)
    assert difference(logits[[0, 2]], whole(model, clip)[[0, 2]]) < 1e-5
    assert difference(logits[[1]], whole(model, clip[[1], 3:])) < 1e-5
    assert states["state_head_pool_frame_count"].numpy().tolist() == [6, 3, 6]


def test_a_reset_heals_a_stream_that_was_fed_nonsense(model):
    _, states = run(model, clips(2, 1), [1])
    broken = OrderedDict(
        (name, state * float("nan")) if state.dtype == paddle.float32 else (name, state)
        for name, state in states.items()
    )
    healed = model.reset_states(broken, rows=[0, 1])
    clip = clips(2, 3)
    assert difference(run(model, clip, [1, 2], healed)[0], whole(model, clip)) < 1e-5


def test_saved_in_the_middle_and_restored(model, tmp_path):
    clip = clips(2, 6)
    _, states = run(model, clip[:, :4], [1, 3])
    model.save_states(states, tmp_path / "s.safetensors")
    logits, _ = run(model, clip[:, 4:], [2], model.load_states(tmp_path / "s.safetensors"))
    assert difference(logits, whole(model, clip)) < 1e-5


def test_training_and_stepping_share_weights(model):
    """Clip-wise training needs no reset; other batches, lengths and sizes in a row are fine."""
    trained = build()
    trained.train()
    batches = [clips(2, 4), clips(3, 4), clips(3, 2, 32, 32), clips(1, 5, 40, 64), clips(2, 4)]
    losses = []
    for clip in batches:
        label = paddle.zeros([len(clip)], "int64")
        trained.head.dropout.p = 0.0
        loss = trained.loss({"clip": paddle.to_tensor(clip), "label": label})["loss"]
        loss.backward()
        losses.append(loss.item())
    assert np.isfinite(losses).all() and losses[-1] == losses[0]  # nothing is left of a clip
    trained.eval()
    clip = clips(2, 4)
    assert difference(run(trained, clip, [1, 3])[0], whole(trained, clip)) < 1e-5


# --- mistakes


def test_a_network_that_is_not_causal_has_no_states():
    with pytest.raises(ConfigError, match="causal"):
        build("movinet_t0_base").init_states(1, HEIGHT, WIDTH)


def test_states_of_another_model_batch_or_size(model):
    frames = paddle.to_tensor(clips(2, 1))
    with pytest.raises(DataError, match=r"not states of this model.*missing"):
        model.step(frames, {})
    with pytest.raises(DataError, match=r"expected \[2, .* got \[3,"):
        model.step(frames, model.init_states(3, HEIGHT, WIDTH))
    with pytest.raises(DataError, match="one batch and frame size"):
        model.step(frames, model.init_states(2, 2 * HEIGHT, WIDTH))
    with pytest.raises(DataError, match=r"\[batch, frames, 3, height, width\]"):
        model.step(frames[:, 0], model.init_states(2, HEIGHT, WIDTH))
    with pytest.raises(DataError, match=r"rows \[2\] are outside 0..1"):
        model.reset_states(model.init_states(2, HEIGHT, WIDTH), rows=[2])


def test_state_files_that_do_not_fit(model, tmp_path):
    path = tmp_path / "s.safetensors"
    with pytest.raises(WeightsError, match=r"states are kept as \.safetensors"):
        model.save_states({}, tmp_path / "s.pdparams")
    other = build("movinet_a0_stream")
    other.save_states(other.init_states(1, HEIGHT, WIDTH), path)
    with pytest.raises(WeightsError, match="states of another model"):
        model.load_states(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(WeightsError, match="damaged"):
        model.load_states(path)
