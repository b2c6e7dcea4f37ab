"""A real stream bundle from end to end: session and pool against the model on whole clips."""

import numpy as np
import paddle
import pytest
from modeling.conftest import randomise

from paddlevideo.export import ExportOptions, export_model
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.runtime import load_predictor
from paddlevideo.utils.errors import BundleError, ConfigError, DataError
from runtime.conftest import LABELS, NUM_CLASSES, PIPELINE

SIDE = 64
STEPS = [
    {"Scale": {"short_size": SIDE}},
    {"CenterCrop": {"target_size": SIDE}},
    "Image2Array",
]


@pytest.fixture(scope="module")
def stream_model():
    paddle.seed(0)
    section = model_section("movinet_a0_stream", num_classes=NUM_CLASSES)
    return randomise(build_recognizer(section)).eval()


@pytest.fixture(scope="module")
def stream_bundle(stream_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream") / "bundle"
    pipeline = {**PIPELINE, "transform": STEPS}
    return export_model(
        stream_model, pipeline, folder, "A0Stream", LABELS, ExportOptions(mode="stream")
    )


@pytest.fixture(scope="module")
def stream_predictor(stream_bundle):
    return load_predictor(stream_bundle.folder, device="cpu", cpu_threads=1)


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def answers(stream_model, clip_THWC: np.ndarray) -> np.ndarray:
    """Probabilities behind the last frame, by the model itself on the whole clip."""
    clip = paddle.to_tensor(clip_THWC.transpose(0, 3, 1, 2)[None])
    with paddle.no_grad():
        return paddle.nn.functional.softmax(stream_model(clip))[0].numpy()


def scores(result) -> np.ndarray:
    by_index = {item.index: item.score for item in result.top}
    return np.array([by_index[index] for index in range(NUM_CLASSES)])


def test_a_session_says_what_the_model_says_of_the_clip(stream_predictor, stream_model):
    session = stream_predictor.open_stream()
    assert session.frame_rate == pytest.approx(5.0)
    clip = frames(7)
    for count, frame in enumerate(clip, start=1):
        result = session.push(frame, timestamp=(count - 1) / 5)
        assert result.label in LABELS
        expected = answers(stream_model, clip[:count])
        np.testing.assert_allclose(scores(result), expected, rtol=2e-3, atol=1e-5)
        if count == 3:
            snapshot = session.snapshot()
    other = stream_predictor.open_stream()
    other.restore(snapshot)
    for n in range(3, 7):
        again = other.push(clip[n], timestamp=n / 5)
    assert [item.index for item in again.top] == [item.index for item in result.top]
    np.testing.assert_allclose(scores(again), scores(result), rtol=1e-6)


def test_a_pool_says_what_the_model_says_of_each_clip(stream_predictor, stream_model):
    """Three streams on two runners, one that has a frame only every other time, one reopened."""
    pool = stream_predictor.open_pool(max_streams=4, threads=2)
    streams = [pool.open() for _ in range(3)]
    clips = [frames(4, seed) for seed in range(3)]
    shown = [0, 0, 0]
    for turn in range(4):
        for n, stream in enumerate(streams):
            if n < 2 or turn % 2:
                stream.push(clips[n][shown[n]], turn / 5)
                shown[n] += 1
        pool.step()
    assert shown == [4, 4, 2]
    for n, stream in enumerate(streams):
        expected = answers(stream_model, clips[n][: shown[n]])
        np.testing.assert_allclose(scores(stream.result), expected, rtol=2e-3, atol=1e-5)
    streams[0].close()
    fresh = pool.open()
    assert (fresh.batch, fresh.row) == (streams[0].batch, streams[0].row)
    fresh.push(clips[2][0], 0.0)
    pool.step()
    expected = answers(stream_model, clips[2][:1])
    np.testing.assert_allclose(scores(fresh.result), expected, rtol=2e-3, atol=1e-5)
    pool.close()


def test_a_stream_bundle_classifies_files_too(stream_predictor, stream_model, video):
    clip_TCHW = stream_predictor.pipeline.load(str(video))
    expected = answers(stream_model, clip_TCHW.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(scores(stream_predictor(video)), expected, rtol=2e-3, atol=1e-5)


def test_a_clip_bundle_cannot_stream(exported):
    predictor = load_predictor(exported.folder, device="cpu", cpu_threads=1)
    for opened in (predictor.open_stream, predictor.open_pool):
        with pytest.raises(BundleError, match="for whole clips, not for streams"):
            opened()


@pytest.mark.parametrize("what", [np.zeros((4, 8, 8, 3), np.uint8), None, 3, b"clip.mp4", ["a"]])
def test_a_predictor_of_files_says_what_it_takes(stream_predictor, what):
    with pytest.raises(DataError, match="takes the path of a video file, got") as caught:
        stream_predictor(what)
    assert len(str(caught.value)) < 250  # the array is not in it


@pytest.mark.parametrize("threads", [0, -1, "2", 1.5])
def test_threads_of_a_pool_that_cannot_be(stream_predictor, threads):
    with pytest.raises(ConfigError, match=r"threads is .*expected a whole number"):
        stream_predictor.open_pool(threads=threads)
