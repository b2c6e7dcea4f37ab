"""When frames are shown: the same for clips and streams, in every backend, never backwards."""

import numpy as np
import pytest
from apps.stream_servers import write_timed

from paddlevideo.apps.sources.factory import open_source
from paddlevideo.video.decoders import DecordSource, OpenCVSource, PyAVSource
from paddlevideo.video.decoders.times import FrameTimes

UNEVEN_MS = [0, 40, 90, 100, 400, 410, 1000, 1040, 1300, 2500]


def stream_times(path):
    return [frame.time_seconds for frame in open_source(path)]


@pytest.mark.parametrize("source_class", [PyAVSource, OpenCVSource, DecordSource])
@pytest.mark.parametrize("late_ms", [0, 5000])
def test_of_variable_rate(source_class, late_ms, tmp_path):
    if source_class is DecordSource:
        pytest.importorskip("decord")
    path = write_timed(tmp_path / "vfr.mkv", [late_ms + time for time in UNEVEN_MS])
    times = source_class(str(path)).times_seconds
    assert times.dtype == np.float64
    np.testing.assert_allclose(times, np.array(UNEVEN_MS) / 1e3, atol=1e-6)
    assert stream_times(path) == PyAVSource(str(path)).times_seconds.tolist()


@pytest.mark.parametrize("name", ["jit1.webm", "live.webm", "screen.mp4"])
def test_of_recordings(shared_dir, name):
    path = str(shared_dir / "cases/timing" / name)
    times = PyAVSource(path).times_seconds
    assert stream_times(path) == times.tolist()
    np.testing.assert_allclose(OpenCVSource(path).times_seconds, times, atol=1e-9)
    if name == "screen.mp4":
        np.testing.assert_allclose(times[60:], np.arange(1, 61), atol=1e-9)


def test_two_recordings_that_were_joined(tmp_path):
    parts = [
        write_timed(tmp_path / f"{i}.ts", [40 * n for n in range(25)], format="mpegts")
        for i in range(2)
    ]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    times = PyAVSource(str(both)).times_seconds
    assert len(times) >= 48 and stream_times(both) == times.tolist()
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1e-6)


def times_of(stamps, rate=25.0):
    times = FrameTimes("x", None)
    return [round(times.at(stamp, rate), 6) for stamp in stamps]


def test_a_jump_back_goes_on_one_frame_later():
    assert times_of([7, 7.04, 3, 3.04, 3.08]) == [0, 0.04, 0.08, 0.12, 0.16]


def test_one_frame_out_of_order_moves_no_other():
    assert times_of([0, 0.08, 0.04, 0.12, 0.16]) == [0, 0.08, 0.12, 0.12, 0.16]


def test_a_clock_gone_wild_goes_on_one_frame_later():
    assert times_of([0, 0.04, 1e12, 1e12 + 0.04]) == pytest.approx([0, 0.04, 0.08, 0.12], abs=1e-3)


def test_lost_packets_in_front_keep_their_time():
    times = FrameTimes("x", None)
    times.lost(5.04)
    times.lost(5.0)
    assert [times.at(5.08, 25.0), times.at(5.12, 25.0)] == pytest.approx([0.08, 0.12])


def test_frames_with_and_without_timestamps(caplog):
    times = FrameTimes("x", None)
    got = [times.count(10.0), times.at(3.0, 10.0), times.count(10.0), times.at(3.2, 10.0)]
    assert got == pytest.approx([0, 0.1, 0.2, 0.3])
    assert caplog.text.count("frames without timestamps") == 1
