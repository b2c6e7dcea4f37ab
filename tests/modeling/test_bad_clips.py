"""What is no clip, or no state of it: one message, with what was expected and what came."""

import numpy as np
import paddle
import pytest

import paddlevideo
from paddlevideo.utils.errors import DataError, WeightsError


@pytest.fixture(scope="module")
def base():
    return paddlevideo.create_model("movinet_t0_base", num_classes=3).eval()


@pytest.fixture(scope="module")
def stream():
    return paddlevideo.create_model("movinet_t0_stream", num_classes=3).eval()


SHAPES = {
    (2, 3, 32, 32): r"one clip is a batch of one: clip.unsqueeze\(0\)",
    (3, 32, 32): r"\[3, 32, 32\] \(uint8\)$",
    (1, 1, 2, 3, 32, 32): r"\[1, 1, 2, 3, 32, 32\] \(uint8\)$",
    (1, 2, 32, 32, 3): r"the channels are last: clip.transpose\(\[0, 1, 4, 2, 3\]\)",
    (1, 3, 2, 32, 32): r"the channels come before the frames: clip.transpose\(\[0, 2, 1, 3, 4\]\)",
    (1, 2, 4, 32, 32): "leave the fourth channel out",
    (1, 2, 32, 32, 4): "leave the fourth channel out",
    (1, 2, 1, 32, 32): "repeat a grey channel three times",
    (1, 2, 32, 32, 1): "repeat a grey channel three times",
    (1, 2, 5, 32, 32): r"\[1, 2, 5, 32, 32\] \(uint8\)$",
    (2, 0, 3, 32, 32): "needs at least one of each",
    (0, 2, 3, 32, 32): "needs at least one of each",
    (2, 2, 3, 0, 32): "needs at least one of each",
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(base, stream, shape):
    clip = paddle.zeros(list(shape), "uint8")
    states = stream.init_states(2, 32, 32)
    for call in (base, lambda x: stream.step(x, states)):
        with pytest.raises(DataError, match=SHAPES[shape]) as caught:
            call(clip)
        assert "[batch, frames, 3, height, width]" in str(caught.value)
        assert f"got shape {list(shape)} (uint8)" in str(caught.value)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float64", "bool"])
def test_dtypes(base, stream, dtype):
    clip = paddle.zeros([1, 2, 3, 32, 32], dtype)
    for call in (base, lambda x: stream.step(x, stream.init_states(1, 32, 32))):
        with pytest.raises(DataError, match=rf"uint8, or float32 .* \({dtype}\): convert it with"):
            call(clip)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (16, 17), (31, 33)])
def test_small_frames(base, stream, size):
    """SAME padding keeps at least one pixel through five halvings; training and stepping too."""
    clip = paddle.to_tensor(np.random.default_rng(0).random((2, 2, 3, *size), "float32") * 255)
    base.train()
    loss = base.loss({"clip": clip, "label": paddle.to_tensor([0, 1])})["loss"]
    loss.backward()
    base.eval()
    assert np.isfinite(loss.item())
    with paddle.no_grad():
        logits, _ = stream.step(clip, stream.init_states(2, *size))
        np.testing.assert_allclose(logits.numpy(), stream(clip).numpy(), rtol=1e-4, atol=1e-6)


def test_fixed_padding_needs_more():
    model = paddlevideo.create_model("movinet_a0_base", num_classes=3, padding="paddlevideo").eval()
    assert model.backbone.min_size == 25
    with paddle.no_grad():
        assert model(paddle.zeros([1, 1, 3, 25, 26])).shape == [1, 3]
        with pytest.raises(DataError, match=r"needs frames of 25x25 at least; got shape .* 24, 40"):
            model(paddle.zeros([1, 1, 3, 24, 40]))


# --- states


def test_states_of_another_frame_size(stream):
    states = stream.init_states(2, 64, 48)
    with pytest.raises(DataError) as caught:
        stream.step(paddle.zeros([2, 1, 3, 64, 80]), states)
    said = str(caught.value)
    assert "for 2 streams of 64x80 frames, got [2, " in said and "float32" in said


def test_states_of_another_batch_dtype_or_model(stream):
    frames = paddle.zeros([2, 1, 3, 32, 32])
    with pytest.raises(DataError, match=r"expected \[2, .* for 2 streams of 32x32.*got \[1, "):
        stream.step(frames, stream.init_states(1, 32, 32))
    states = stream.init_states(2, 32, 32)
    wrong = {name: state.astype("float64") for name, state in states.items()}
    with pytest.raises(DataError, match=r"expected .* float32 .* got .* float64"):
        stream.step(frames, wrong)
    wrong = {**states, "state_head_pool_frame_count": paddle.zeros([2], "int64")}
    with pytest.raises(DataError, match=r"frame_count: expected \[2\] int32 .* got \[2\] int64"):
        stream.step(frames, wrong)
    other = paddlevideo.create_model("movinet_a0_stream", num_classes=3)
    with pytest.raises(DataError, match=r"not states of this model: 1 missing .*, 7 unknown"):
        stream.step(frames, other.init_states(2, 32, 32))
    with pytest.raises(DataError, match=r"states are tensors by name, .*got NoneType"):
        stream.step(frames, None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([2], r"rows \[2\] are outside 0..1"),
        ([0, -1], r"rows \[-1\] are outside 0..1"),
        ([0.5], r"rows are numbers of streams, such as \[0, 2\]; got \[0.5\]"),
        ([True], r"rows are numbers of streams"),
        (1, r"rows are numbers of streams, .*got 1"),
        ("0", r"rows are numbers of streams"),
    ],
)
def test_rows(stream, rows, message):
    with pytest.raises(DataError, match=message):
        stream.reset_states(stream.init_states(2, 32, 32), rows)


def test_rows_of_numpy_and_none_at_all(stream):
    states = {name: state + 1 for name, state in stream.init_states(2, 32, 32).items()}
    reset = stream.reset_states(states, np.array([1]))
    assert reset["state_head_pool_frame_count"].tolist() == [1, 0]
    assert stream.reset_states(states, [])["state_head_pool_frame_count"].tolist() == [1, 1]
    with pytest.raises(DataError, match="there are no states to reset"):
        stream.reset_states({}, [0])


def test_unknown_state_file(stream, tmp_path):
    with pytest.raises(WeightsError, match=r"none.safetensors cannot be read: No such file"):
        stream.load_states(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match=r"unknown format .npz; expected"):
        stream.load_states(tmp_path / "states.npz")
