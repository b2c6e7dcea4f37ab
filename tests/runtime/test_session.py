"""One stream: what is seen, when it starts anew, snapshots; on a runner without a network."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.runtime.streams.factory import stream_options
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.runtime.streams.session_options import StreamCounts
from paddlevideo.utils.errors import ConfigError, DataError
from runtime.stream_fakes import SIDE, FakeRunner, grey, view


def session(runner=None, the_view=None, **options) -> StreamSession:
    return StreamSession(runner or FakeRunner(), the_view or view(), stream_options(options))


def seen(runner) -> list[float]:
    """(frames, sum of grey levels) since the last reset."""
    return runner.seen()[0, :2].tolist()


def test_frames_are_left_out_to_keep_the_rate():
    runner = FakeRunner()
    stream = session(runner, top_k=2)
    results = [stream.push(grey(n), n / 25) for n in range(26)]
    taken = [n for n, result in enumerate(results) if result is not None]
    assert taken == [0, 5, 10, 15, 20, 25]
    assert seen(runner) == [6, sum(taken)]
    last = results[-1]
    assert (last.time_seconds, last.label, last.index) == (1.0, "sum", 1)
    assert last.score > 0.999 and last.latency_ms > 0 and len(last.top) == 2
    counts = stream.counts.as_dict()
    assert [counts[k] for k in ("frames", "steps", "skipped", "dropped")] == [26, 6, 20, 0]
    assert counts["mean_latency_ms"] > 0 and counts["p95_latency_ms"] > 0
    line = last.as_dict()
    assert list(line) == ["time_seconds", "label", "index", "score", "latency_ms", "top"]


def test_the_bundles_own_steps_prepare_a_frame():
    """The frame that the model sees is the pipeline's, to the pixel, whatever its size."""
    rng = np.random.default_rng(0)
    for layout in ("tchw", "cthw"):
        steps = [
            {"Scale": {"short_size": SIDE + 2}},
            {"CenterCrop": {"target_size": SIDE}},
            {"Image2Array": {"data_format": layout}},
        ]
        the_view, runner = view(transform=steps), FakeRunner()
        stream = session(runner, the_view)
        for height, width in ((40, 30), (9, 200), (1, 1)):
            frame = rng.integers(0, 256, (height, width, 3), np.uint8)
            stream.push(frame)
            expected = view(transform=[*steps[:2], "Image2Array"]).transform(frame[None])[0]
            assert (runner.batches[-1][0] == expected).all()


def test_a_window_starts_anew():
    runner = FakeRunner()
    stream = session(runner, window_seconds=1.0)
    counts = []
    for n in range(13):
        stream.push(grey(1), n / 5)
        counts.append(int(seen(runner)[0]))
    assert counts == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3]
    assert stream.counts.resets == 2


def test_a_cut_starts_anew():
    runner = FakeRunner()
    stream = session(runner, reset_on_cut=True)
    for n, level in enumerate([50, 60, 70, 200, 190, 60]):
        stream.push(grey(level), n / 5)
    assert stream.counts.resets == 2
    assert seen(runner) == [1, 60]
    without = session(runner)
    for n, level in enumerate([50, 200]):
        without.push(grey(level), n / 5)
    assert without.counts.resets == 0


def test_a_stream_that_begins_again():
    """Times that go back by more than a second: a file in a loop, a camera switched on again."""
    runner = FakeRunner()
    stream = session(runner)
    for time in (100.0, 100.2, 100.1, 0.0, 0.2):
        stream.push(grey(1), time)
    assert (seen(runner), stream.counts.resets, stream.counts.skipped) == ([2, 2], 1, 1)


def test_smoothing_keeps_the_answer_calm_and_a_reset_forgets_it():
    runner = FakeRunner()
    stream, sharp = session(runner, smooth_seconds=5.0), session()
    for n in range(3):
        smooth_result = stream.push(grey(0 if n < 2 else 255), n / 5)
        sharp_result = sharp.push(grey(0 if n < 2 else 255), n / 5)
    assert sharp_result.label == "sum" and sharp_result.score > 0.99
    assert smooth_result.label == "count"
    stream.reset()
    assert seen(runner) == [0, 0]
    assert stream.push(grey(255), 0.0).label == "sum"


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_snapshot_goes_on_alike_in_another_session(data):
    times = st.lists(st.floats(0, 20), max_size=12)
    options = {"window_seconds": 3.0, "reset_on_cut": True, "smooth_seconds": 1.0}
    frames = [grey(level) for level in data.draw(st.lists(st.integers(0, 255), min_size=1))]
    one, other = session(**options), session(**options)

    def run(stream, at):
        answers = [stream.push(frames[n % len(frames)], time) for n, time in enumerate(at)]
        return [a and (a.time_seconds, a.top) for a in answers]

    run(one, data.draw(times))
    snapshot = one.snapshot()
    assert all(isinstance(array, np.ndarray) for array in snapshot.values())
    after = data.draw(times)
    expected = run(one, after)
    run(other, data.draw(times))
    other.restore(snapshot)
    assert run(other, after) == expected
    one.restore(snapshot)
    assert run(one, after) == expected


def test_a_snapshot_of_another_model(tmp_path):
    runner = FakeRunner()
    stream = session(runner)
    stream.push(grey(7), 0)
    snapshot = stream.snapshot()
    np.savez(tmp_path / "s.npz", **snapshot)
    with np.load(tmp_path / "s.npz") as loaded:
        stream.restore(loaded)
    for change in (
        {"states/sum": np.zeros([2, 1, 1], np.float32)},
        {"states/count": np.zeros([1], np.float64)},
        {"stream/clock": np.zeros(2)},
        {"states/more": np.zeros([1])},
    ):
        with pytest.raises(DataError, match="snapshot"):
            stream.restore({**snapshot, **change})
    with pytest.raises(DataError, match="its state count is missing"):
        stream.restore({"states/sum": snapshot["states/sum"]})
    assert seen(runner) == [1, 7]


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        None,
    ],
)
def test_frames_that_are_none(frame):
    stream = session()
    with pytest.raises(DataError, match="expected uint8 RGB"):
        stream.push(frame, 0.0)
    assert stream.push(grey(1), 0.0) is not None


def test_a_pipeline_without_a_size():
    stream = session(the_view=view(transform=["Image2Array"]))
    with pytest.raises(DataError, match=r"30x20 pixels becomes .* lacks a Scale or crop"):
        stream.push(grey(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k is 0"),
        ({"window_seconds": 0.0}, "window of 0.0 seconds"),
        ({"cut_threshold": 2.0}, "cut_threshold is 2.0"),
        ({"smooth_seconds": -1.0}, "smooth is -1.0 seconds"),
        ({"windows": 3}, 'no option "windows"; did you mean "window_seconds"'),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        session(**options)


def test_the_newest_latencies_are_kept():
    counts = StreamCounts()
    assert counts.mean_latency_ms is None and counts.p95_latency_ms is None
    counts.add_latency(3.0)
    assert counts.mean_latency_ms == counts.p95_latency_ms == 3.0
    for number in range(25_000):
        counts.add_latency(float(number))
    assert counts.mean_latency_ms == np.mean(np.arange(15_000, 25_000))
    assert counts.p95_latency_ms == np.percentile(np.arange(15_000, 25_000), 95)
    assert counts.as_dict()["steps"] == 25_001
