"""The frame nearest to a wanted time, against a search through all frames."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.video import Pipeline, StridedSampler
from paddlevideo.video.decoders.pyav import PyAVSource
from paddlevideo.video.frame_choice import TIE_SECONDS, duration_seconds, nearest_frames

milliseconds = st.lists(st.integers(0, 5000), min_size=1, max_size=40)


def nearest_by_search(times_seconds, wanted_seconds):
    """For each wanted time the earliest of the nearest frames, one frame after another."""
    chosen = []
    for wanted in wanted_seconds:
        distances = [abs(time - wanted) for time in times_seconds]
        least = min(distances)
        chosen.append(next(i for i, d in enumerate(distances) if d <= least + TIE_SECONDS))
    return chosen


@given(milliseconds, milliseconds)
def test_nearest_frames(times_ms, wanted_ms):
    times, wanted = np.sort(times_ms) / 1000, np.array(wanted_ms) / 1000
    chosen = nearest_frames(times, wanted)
    assert chosen.dtype == np.int64
    assert chosen.tolist() == nearest_by_search(times, wanted)


def test_nearest_frames_by_hand():
    times = np.array([0.0, 0.1, 0.2, 0.2, 1.0])
    assert nearest_frames(times, np.array([0.0, 0.15, 0.16, 0.6, 0.61, 7.0])).tolist() == (
        [0, 1, 2, 2, 4, 4]  # ties to the earlier frame, also of two with one time
    )
    assert nearest_frames(np.array([0.04]), np.array([0.0, 3.0])).tolist() == [0, 0]
    assert nearest_frames(np.array([0.0, 1e18]), np.array([2e18])).tolist() == [1]


def test_the_last_frame_lasts_the_median_interval():
    assert duration_seconds(np.array([0.0])) == 0.0
    assert duration_seconds(np.array([0.04, 0.08, 0.12])) == pytest.approx(0.16)
    assert duration_seconds(np.array([0.0, 0.5, 0.6, 0.7])) == pytest.approx(0.8)


@given(st.lists(st.integers(0, 700), min_size=1, max_size=300), st.integers(1, 9), st.booleans())
def test_a_strided_clip_is_nearest_to_an_even_grid(steps_ms, stride, training):
    """Of a variable rate: each frame is the nearest to its wanted time, none of them cut off."""
    times = np.concatenate([[0], np.cumsum(steps_ms)]) / 1000
    sampler = StridedSampler(6, stride, stride_fps=25)
    chosen = sampler.indices(len(times), np.random.default_rng(5), training, times_seconds=times)
    length = max(1, round(duration_seconds(times) * 25))
    of_counting = StridedSampler(6, stride).indices(length, np.random.default_rng(5), training)
    assert chosen.tolist() == nearest_by_search(times, of_counting / 25)


def write_timed_video(path: Path, times_ms) -> Path:
    """Write a frame for each presentation time."""
    codec = "libvpx" if path.suffix == ".webm" else "mpeg4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times_ms):
            image = np.full((32, 32, 3), number % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = int(time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def chosen_of(path: Path, num_frames: int, stride: int, stride_fps: float):
    """The frames that a pipeline chooses of a file for evaluation."""
    sample = {"name": "StridedSampler", "num_frames": num_frames}
    node = {
        "decode": {"name": "VideoDecoder"},
        "sample": {**sample, "stride": stride, "stride_fps": stride_fps},
        "transform": [{"Resize": {"height": 16, "width": 16}}],
    }
    return Pipeline(node).load_sample(str(path)).frame_indices["clip"].tolist()


@pytest.mark.parametrize("ending", ["mkv", "mp4", "webm"])
@pytest.mark.parametrize("seed", range(3))
def test_videos_of_a_variable_rate(tmp_path, ending, seed):
    steps = np.random.default_rng(seed).choice([5, 17, 33, 40, 90, 400], size=60)
    times_ms = np.concatenate([[0], np.cumsum(steps)])
    path = write_timed_video(tmp_path / f"v.{ending}", times_ms)
    wanted = np.arange(int(times_ms[-1] / 200)) / 5
    expected = nearest_by_search(times_ms / 1000, wanted)
    with PyAVSource(str(path)) as source:
        assert source.times_seconds == pytest.approx(times_ms / 1000, abs=1e-6)
        # The whole of the video, so that the clip begins at 0.
        length = max(1, round(duration_seconds(source.times_seconds) * 5))
    assert len(wanted) <= length <= len(wanted) + 1
    assert chosen_of(path, length, 1, 5)[: len(wanted)] == expected


@pytest.mark.parametrize("name", ["jit1.webm", "live.webm", "screen.mp4"])
def test_recordings_of_browsers_and_screens(shared_dir, name):
    path = shared_dir / "cases" / "timing" / name
    with PyAVSource(str(path)) as source:
        times = source.times_seconds
    length = round(duration_seconds(times) * 5)
    wanted = np.arange(length) / 5
    assert chosen_of(path, length, 1, 5) == nearest_by_search(times, wanted)
    if name == "screen.mp4":
        assert chosen_of(path, length, 1, 5)[50:54] == nearest_by_search(times, wanted[50:54])
        assert np.diff(chosen_of(path, length, 1, 5)[10:]).max() == 1  # none is left out
