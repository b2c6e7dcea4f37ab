"""The mean of softmax over views, and the model's own logits where there is one view."""

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from paddlevideo.modeling import build_recognizer, resolve_model_section
from paddlevideo.tasks.stream_test import stream_answer
from paddlevideo.tasks.views import answer_views, log_mean_softmax
from paddlevideo.utils.errors import ConfigError


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


logits = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6)),
    elements=st.floats(-300, 300, width=32),
)


@given(logits)
def test_mean_of_softmax(logits_BVN):
    got = log_mean_softmax(logits_BVN)
    assert got.dtype == np.float32 and np.isfinite(got).all()
    expected = softmax(logits_BVN).mean(axis=1)
    np.testing.assert_allclose(np.exp(got.astype(np.float64)), expected, rtol=2e-5, atol=1e-30)
    np.testing.assert_allclose(softmax(got), expected, rtol=2e-5, atol=1e-30)  # what readers do


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_one_bad_view_spoils_its_video_alone(bad):
    logits_BVN = np.zeros((2, 3, 4), np.float32)
    logits_BVN[1, 2, 0] = bad
    got = log_mean_softmax(logits_BVN)
    assert np.isfinite(got[0]).all() and np.isnan(got[1]).any()


def mean_pixels(seen):
    """A model of two inputs; notes how many clips it was given at a time."""

    def answer(clips):
        seen.append({each.shape[0] for each in clips})
        means = [each.astype("float32").mean(axis=[1, 3, 4]) for each in clips]
        return means[0] + 2 * means[1]

    return answer


@pytest.mark.parametrize("at_once", [1, 4, 6, 100])
def test_views_of_two_inputs_in_parts(at_once):
    rng = np.random.default_rng(0)
    a = rng.integers(0, 9, (2, 3, 4, 3, 5, 5)).astype(np.uint8)
    b = rng.integers(0, 9, (2, 3, 2, 3, 6, 6)).astype(np.uint8)
    seen = []
    got = answer_views(mean_pixels(seen), [paddle.to_tensor(a), paddle.to_tensor(b)], at_once)
    assert sum(number for numbers in seen for number in numbers) == 6
    assert max(number for numbers in seen for number in numbers) <= at_once
    means = [x.astype(np.float64).mean(axis=(2, 4, 5)) for x in (a, b)]
    expected = softmax(means[0] + 2 * means[1]).mean(axis=1)
    np.testing.assert_allclose(np.exp(got), expected, rtol=1e-5)


def test_one_view_is_the_models_own_answer():
    clip = paddle.to_tensor(np.random.default_rng(0).random((2, 4, 3, 5, 5)).astype("float32"))
    direct = mean_pixels([])([clip, clip])
    assert np.array_equal(answer_views(mean_pixels([]), [clip, clip], 1), direct.numpy())


def model_of(preset):
    paddle.seed(0)
    node = {"preset": preset, "head": {"num_classes": 5}}
    return build_recognizer(resolve_model_section(node, "MODEL")).eval()


def test_frame_by_frame_is_the_clip():
    model = model_of("movinet_a0_stream")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 3, 32, 40)).astype(np.uint8)
    clip = paddle.to_tensor(pixels)
    with paddle.no_grad():
        by_frames, whole = stream_answer(model)([clip]), model(clip)
        views = answer_views(stream_answer(model), [clip.unsqueeze(1)], 1)
    np.testing.assert_allclose(by_frames.numpy(), whole.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.exp(views), softmax(whole.numpy()), rtol=1e-4)


def test_a_model_of_clips_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"TEST.stream: MoViNet, .* does not run frame by frame"):
        stream_answer(model_of("movinet_a0_base"))
