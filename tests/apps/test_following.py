"""A stream of a recording sees the frames that a clip of it is made of."""

import csv
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime.stream_fakes import FakeRunner, view

from paddlevideo.apps.sources.factory import open_source
from paddlevideo.apps.sources.following import follow
from paddlevideo.apps.sources.frames import TimedFrame
from paddlevideo.runtime.streams.frame_picker import FramePicker
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.runtime.streams.session_options import StreamOptions
from paddlevideo.utils.errors import DataError
from paddlevideo.video import Pipeline
from paddlevideo.video.frame_choice import duration_seconds, nearest_frames

RATE = 5.0


def picked(times, rate=RATE):
    """The number of the frame that was taken for each moment."""
    picker = FramePicker(rate)
    chosen = [item for number, time in enumerate(times) for item in picker.offer(time, number)]
    chosen += picker.end()
    moments = [moment for moment, _ in chosen]
    assert moments == sorted(set(moments))
    return [number for _, number in chosen]


def wanted(times, rate=RATE):
    """By the rule of clips, for the moments that lie before the last frame."""
    moments = np.arange(int((times[-1] + 1e-6) * rate) + 1) / rate
    return nearest_frames(np.asarray(times), moments).tolist()


# Presentation times come in whole ticks of a time base: equal, or apart by far more than rounding.
gaps = st.sampled_from([0.0, 1 / 30, 1 / 25, 0.2, 0.1, 1.0, 7.0]) | st.floats(1e-4, 2)


@given(st.lists(gaps, min_size=1, max_size=40), st.sampled_from([0.0, 0.04]))
def test_the_rule_of_clips_frame_by_frame(intervals, first):
    times = np.cumsum([first, *intervals]).tolist()
    expected = wanted(times)
    assert picked(times)[: len(expected)] == expected


@pytest.mark.parametrize("rate", [24, 25, 30, 50, 7.5])
def test_even_rates(rate):
    times = [number / rate for number in range(100)]
    numbers = picked(times)
    expected = wanted(times)
    assert numbers[: len(expected)] == expected
    # until the end of the last frame
    assert len(numbers) == int(np.ceil(100 / rate * RATE - 1e-5))


def test_a_long_gap_is_left_out_and_said(caplog, monkeypatch):
    monkeypatch.setenv("PADDLEVIDEO_LIMITS", "gap_seconds=2")
    with caplog.at_level(logging.WARNING):
        numbers = picked([0.0, 1.0, 3601.0])
    assert len(numbers) < 40 and numbers[-1] == 2
    assert "no frame for 3600 s" in caplog.text and "gap_seconds" in caplog.text


def streamed_times(source) -> list[float]:
    session = StreamSession(FakeRunner(), view(), StreamOptions())
    session._runner.frame_rate = RATE
    return [r.time_seconds for step in follow(session, source) for r in step.results]


def test_a_frame_that_stands_is_converted_once():
    calls = []

    def give(number):
        calls.append(number)
        return np.full((8, 8, 3), number, np.uint8)

    frames = [TimedFrame(t, lambda n=n: give(n)) for n, t in enumerate([0.0, 1.0, 1.04, 2.0])]
    session = StreamSession(FakeRunner(), view(), StreamOptions())
    steps = list(follow(session, frames))
    assert [step.frame.time_seconds for step in steps if step.frame] == [0.0, 1.0, 1.04, 2.0]
    assert sorted(calls) == sorted(set(calls))
    assert sum(len(step.results) for step in steps) >= 2 * session.frame_rate


def test_a_live_source_does_not_wait_for_the_next_frame():
    frames = [TimedFrame(t, lambda: np.zeros((8, 8, 3), np.uint8)) for t in (0.0, 3.0)]
    session = StreamSession(FakeRunner(), view(), StreamOptions())
    steps = list(follow(session, frames, is_live=lambda: True))
    assert [len(step.results) for step in steps] == [1, 1]


def clip_times(path) -> list[float]:
    """Times of the frames that a clip of 5 frames a second is made of, from the first on."""
    description = {
        "decode": {"name": "VideoDecoder"},
        "sample": {"name": "StridedSampler", "num_frames": 1, "stride": 5, "stride_fps": 25},
        "transform": [{"Resize": {"height": 8, "width": 8}}, "Image2Array"],
    }
    pipeline = Pipeline(description)
    sample = pipeline.load_sample(str(path))
    with pipeline.decoder.open(sample) as source:
        times = source.times_seconds
        description["sample"]["num_frames"] = 2 * int(times[-1] * RATE) + 30  # from the start
        sampler = Pipeline(description).input.sampler
        numbers = sampler.indices(
            source.num_frames, np.random.default_rng(0), False, "video", times
        )
    # A clip that is longer than the video begins again where it ends, by its median interval.
    moments = min(int((times[-1] + 1e-6) * RATE) + 1, -(-round(duration_seconds(times) * 25) // 5))
    return times[numbers[:moments]].tolist()


def test_clip_and_stream_see_the_same_frames_of_every_shipped_clip(shared_dir):
    """Variable rates, rotations, edit lists, missing headers: no special cases."""
    with (shared_dir / "videos" / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        paths = [shared_dir / "videos" / row["path"] for row in csv.DictReader(file)]
    paths = [path for path in paths if path.parent.name == "clips"]
    paths += sorted((shared_dir / "cases" / "timing").iterdir())
    paths += sorted((shared_dir / "cases" / "damaged").glob("*_*.*"))
    checked = 0
    for path in paths:
        try:
            expected = clip_times(path)
        except DataError:
            continue  # sound alone, or of an unknown codec
        found = streamed_times(open_source(path))
        assert 0 <= len(found) - len(expected) <= RATE, path.name  # the last frame stands on
        np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-9, err_msg=path.name)
        checked += 1
    assert checked >= 35
