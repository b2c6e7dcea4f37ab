"""Sources: files with odd times, live ones that drop, lost ones that come back, and refusals."""

import io
import itertools
import logging
import os
import socket
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from runtime.stream_fakes import FakeRunner, view
from video.conftest import grey_of, numbers_of, write_video

from apps.stream_servers import LiveServer, RtspServer, write_timed
from paddlevideo.apps.sources import factory as sources
from paddlevideo.apps.sources.factory import FrameReader, SourceOptions, open_source
from paddlevideo.apps.sources.frames import TimedFrame
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.runtime.streams.session_options import StreamOptions
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.video.decoders import PyAVSource
from paddlevideo.video.decoders.times import FrameTimes

UNEVEN_MS = [0, 40, 90, 100, 400, 410, 1000, 1040, 1300, 2500]


def read(source, **options):
    reader = open_source(source, SourceOptions(**options))
    return list(reader), reader


# --- files


def test_a_file_is_read_whole_with_its_times(tmp_path):
    """However slow the reader is, and with variable frame rate."""
    path = write_timed(tmp_path / "vfr.mkv", UNEVEN_MS)
    reader = open_source(path, SourceOptions(buffer_frames=2))
    frames = []
    for frame in reader:
        time.sleep(0.01)
        frames.append(frame)
    assert [round(1e3 * frame.time_seconds) for frame in frames] == UNEVEN_MS
    assert numbers_of(np.stack([frame.rgb() for frame in frames])) == list(range(10))
    assert (reader.frames_read, reader.frames_dropped) == (10, 0)


def test_times_begin_with_the_first_frame(tmp_path):
    path = write_timed(tmp_path / "late.mkv", [5000 + t for t in UNEVEN_MS])
    assert [round(1e3 * f.time_seconds) for f in read(path)[0]] == UNEVEN_MS


def test_frames_without_times(tmp_path, caplog):
    """An elementary stream: counted at the container's rate, or the one that is stated."""
    path = write_timed(tmp_path / "raw.m4v", [40 * n for n in range(6)], format="m4v")
    with caplog.at_level(logging.WARNING):
        stated = [f.time_seconds for f in read(path, frame_rate=5.0)[0]]
    for rate, container_rate, expected in ((None, None, 0.04), (None, 10.0, 0.1), (5.0, 10.0, 0.2)):
        caplog.clear()
        times = FrameTimes("camera", rate)
        with caplog.at_level(logging.WARNING):
            counted = [times.count(container_rate) for _ in range(4)]
        np.testing.assert_allclose(counted, np.arange(4) * expected)
        assert [r.message.split(";")[0] for r in caplog.records] == [
            "camera: frames without timestamps"
        ]
    assert len(stated) == 6 and stated == sorted(stated)


def test_the_size_changes_midway(tmp_path):
    """Two transport streams one after the other: sizes and times both jump."""
    parts = [
        write_timed(tmp_path / f"{side}.ts", [40 * n for n in range(8)], side, format="mpegts")
        for side in (32, 64)
    ]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, _ = read(both)
    sizes = [frame.rgb().shape[0] for frame in frames]
    assert sorted(set(sizes)) == [32, 64] and len(frames) >= 14


def test_an_early_end(tmp_path, caplog):
    data = write_timed(tmp_path / "a.mkv", [40 * n for n in range(50)], 128).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    frames, _ = read(tmp_path / "cut.mkv")
    assert 5 < len(frames) < 50


def test_max_seconds(tmp_path):
    path = write_video(tmp_path / "a.mp4", 40)
    frames, reader = read(path, max_seconds=1.0)
    assert len(frames) == 25
    assert not reader._thread.is_alive()


def test_a_loop_that_is_left_ends_the_reading(tmp_path):
    path = write_video(tmp_path / "a.mp4", 50)
    reader = open_source(path, SourceOptions(buffer_frames=1))
    for frame in reader:
        assert frame.time_seconds == 0
        break
    reader.close()
    assert not reader._thread.is_alive() and reader.frames_read <= 4


ODD = {  # file: frames, (height, width) as it is shown
    "odd_1x1.mp4": (5, (1, 1)),
    "odd_40x30_noise.mp4": (13, (30, 40)),
    "odd_66x50_60fps.mov": (82, (50, 66)),
    "odd_h264_10bit.mp4": (30, (200, 200)),
    "odd_hevc_128x128.mp4": (10, (128, 128)),
    "odd_multistream_nasa.mp4": (325, (180, 320)),
    "odd_rot0_3frames.mov": (3, (320, 568)),
    "odd_rot90_3frames.mov": (3, (568, 320)),
    "odd_rot180_3frames.mov": (3, (320, 568)),
    "odd_truncated.mp4": (49, (720, 1280)),
    "odd_unordered_50x50.mov": (4, (50, 50)),
    "odd_vfr_portrait.mp4": (421, (1024, 576)),
    "odd_vp9_alpha.webm": (150, (200, 200)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files(shared_dir, name, caplog):
    num_frames, shape = ODD[name]
    reader = open_source(shared_dir / "videos" / "clips" / name)
    times, shapes = [], set()
    with caplog.at_level(logging.WARNING):
        for frame in reader:
            times.append(frame.time_seconds)
            if len(times) <= 3:
                shapes.add(frame.rgb().shape[:2])
    assert (len(times), shapes) == (num_frames, {shape})
    assert times[0] == 0 and times == sorted(times) and (np.diff(times) > 0).all()
    assert any("damaged: 1 of 50 frames" in r.message for r in caplog.records) == (
        name == "odd_truncated.mp4"
    )


def test_variable_frame_rate_of_a_real_clip(shared_dir):
    """Whatever the gaps, the model sees a frame every 0.2 s, none twice."""
    session = StreamSession(FakeRunner(), view(), StreamOptions())
    reader = open_source(shared_dir / "videos" / "clips" / "odd_vfr_portrait.mp4")
    results = [session.push(frame.rgb, frame.time_seconds) for frame in reader]
    times = [result.time_seconds for result in results if result is not None]
    late = np.array(times) - 0.2 * np.arange(len(times))
    assert late.min() >= -1.1e-3 and late.max() < 0.17
    assert session.counts.skipped == 421 - len(times)


def test_rotated_pictures(shared_dir):
    """Turned upright, pixel for pixel as the clip decoder does it."""
    for name in ("odd_rot90_3frames.mov", "odd_rot180_3frames.mov"):
        path = shared_dir / "videos" / "clips" / name
        with PyAVSource(str(path)) as decoder:
            expected = decoder.read([0, 1, 2])
        assert (np.stack([f.rgb() for f in open_source(path)]) == expected).all()


# --- live


class TickingFeed:
    """100 frames, one each time it is let go; live."""

    is_live = True
    frames_lost = 0

    def __init__(self, count=100):
        self.count = count
        self.stopped = False

    def __iter__(self):
        for number in range(self.count):
            yield TimedFrame(number / 25, lambda n=number: n)

    def stop(self):
        self.stopped = True


def read_asleep(feed, **options):
    """The numbers of the frames that are left when all have come before one was taken."""
    reader = FrameReader(feed, SourceOptions(buffer_frames=3, **options))
    reader._thread.start()
    reader._thread.join()
    reader._thread.start = lambda: None
    return [frame.rgb() for frame in reader], reader


def test_a_live_source_keeps_the_newest_frames():
    feed = TickingFeed()
    numbers, reader = read_asleep(feed)
    assert numbers == [97, 98, 99]
    assert (reader.frames_read, reader.frames_dropped) == (100, 97)
    assert feed.stopped


def test_live_can_be_asked_for_and_refused():
    feed = TickingFeed()
    reader = FrameReader(feed, SourceOptions(buffer_frames=3, live=False))
    assert len(list(reader)) == 100 and reader.frames_dropped == 0
    feed = TickingFeed()
    feed.is_live = False
    assert read_asleep(feed, live=True)[0] == [97, 98, 99]


def test_a_defect_in_the_thread_is_not_lost():
    class Broken(TickingFeed):
        def __iter__(self):
            yield from itertools.islice(super().__iter__(), 1)
            raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        list(FrameReader(Broken(), SourceOptions()))


def test_a_live_source_that_falls_silent_ends_in_time():
    released = threading.Event()

    class Silent(TickingFeed):
        def __iter__(self):
            yield TimedFrame(0.0, lambda: 0)
            released.wait(20)

        def stop(self):
            released.set()

    reader = FrameReader(Silent(), SourceOptions(max_seconds=0.3))
    assert len(list(reader)) == 1
    assert released.is_set()


# --- the network


@pytest.fixture(scope="module")
def transport_stream(tmp_path_factory):
    path = tmp_path_factory.mktemp("ts") / "live.ts"
    return write_timed(path, [40 * n for n in range(50)], 64, format="mpegts")


def test_a_stream_over_http_that_goes_away_and_comes_back(transport_stream, caplog):
    """The server ends, refuses for a moment, and is there again: times go on, nothing is told
    twice, and when it stays away the message says for how long."""
    first = LiveServer(transport_stream)
    port = first.port
    reader = open_source(first.url, SourceOptions(reconnect_seconds=1.2, timeout_seconds=3))
    times, second = [], None
    with pytest.raises(DataError, match=r"live\.ts: lost after \d+ frames and not back in"):
        for frame in reader:
            times.append(frame.time_seconds)
            frame.rgb()
            if second is None and len(times) == 5:
                first.close()
                second = threading.Timer(0.4, _serve_again, (transport_stream, port))
                second.start()
    assert reader.is_live
    assert len(times) > 30 and times == sorted(times)
    lost = [r for r in caplog.records if "connecting again" in r.message]
    assert len(lost) >= 2


def _serve_again(file, port):
    server = LiveServer(file, port=port)
    deadline = time.monotonic() + 5
    while server.requests == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    server.close_later = threading.Timer(1.0, server.close)
    server.close_later.start()


def test_a_camera_by_rtsp_that_goes_away_and_comes_back(transport_stream, caplog):
    first = RtspServer(transport_stream)
    reader = open_source(first.url, SourceOptions(reconnect_seconds=8, timeout_seconds=3))
    servers, times = [first], []
    for frame in reader:
        times.append(frame.time_seconds)
        assert frame.rgb().shape == (64, 64, 3)
        if len(servers) == 1 and len(times) == 5:
            first.close()
            lost_at = len(times)
            servers.append(RtspServer(transport_stream, port=first.port))
        if len(servers) == 2 and servers[1].plays and len(times) > lost_at + 20:
            break
    servers[1].close()
    assert reader.is_live and servers[1].plays == 1
    assert "connecting again" in caplog.text and times[-1] > times[0]


def test_a_stream_that_is_not_to_be_connected_again(transport_stream, caplog):
    with LiveServer(transport_stream, pause=0) as server:
        frames, _ = read(server.url, reconnect_seconds=0, live=False)
        assert server.requests == 1
    assert len(frames) >= 48 and "live.ts: Input/output error" in caplog.text


def test_a_recording_over_http_is_read_whole(tmp_path):
    """A container that tells its length is not live: nothing is dropped."""
    path = write_timed(tmp_path / "a.mkv", [40 * n for n in range(50)])
    with LiveServer(path, pause=0, seekable=True) as server:
        reader = open_source(server.url, SourceOptions(buffer_frames=2))
        count = 0
        for _ in reader:
            time.sleep(0.002)
            count += 1
    assert (count, reader.is_live, reader.frames_dropped) == (50, False, 0)


def test_a_url_that_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/a.ts", f"rtsp://127.0.0.1:{port}/a"):
        with pytest.raises(DataError, match="cannot be read: Connection refused"):
            read(url)


def test_a_url_that_is_silent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.ts"
        with pytest.raises(DataError, match=r"cannot be read: nothing came for 0.3 s"):
            read(url, timeout_seconds=0.3)


# --- pipes


@pytest.fixture
def standard_input(monkeypatch):
    """Feeds bytes to file descriptor 0, which FFmpeg reads."""
    kept = os.dup(0)
    out, into = os.pipe()
    os.dup2(out, 0)
    os.close(out)

    def feed(data):
        def write():
            with os.fdopen(into, "wb") as pipe:
                pipe.write(data)

        threading.Thread(target=write, daemon=True).start()

    yield feed
    os.dup2(kept, 0)
    os.close(kept)


def test_a_video_through_a_pipe(standard_input, tmp_path):
    standard_input(write_timed(tmp_path / "a.mkv", UNEVEN_MS).read_bytes())
    frames, reader = read("-")
    assert [round(1e3 * frame.time_seconds) for frame in frames] == UNEVEN_MS
    assert not reader.is_live


def test_rubbish_through_a_pipe(standard_input):
    standard_input(b"this is no video at all " * 100)
    with pytest.raises(DataError, match="standard input: not a readable video"):
        read("-")


def raw_input(monkeypatch, data):
    monkeypatch.setattr(sources.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_raw_frames_through_a_pipe(monkeypatch, caplog):
    images = np.stack([np.full((4, 6, 3), grey_of(n), np.uint8) for n in range(5)])
    raw_input(monkeypatch, images.tobytes() + b"rest")
    frames, _ = read("-", frame_size=(6, 4), frame_rate=10.0)
    assert [frame.time_seconds for frame in frames] == [0, 0.1, 0.2, 0.3, 0.4]
    assert (np.stack([frame.rgb() for frame in frames]) == images).all()
    assert "4 bytes behind frame 5 are no whole frame of 6x4" in caplog.text
    raw_input(monkeypatch, images.tobytes())
    assert read("-", frame_size=(6, 4))[0][1].time_seconds == 0.04
    assert "taken as 25 frames/s" in caplog.text
    raw_input(monkeypatch, b"x")
    with pytest.raises(DataError, match=r"not one frame of 6x4 \(72 bytes of rgb24\) came"):
        read("-", frame_size=(6, 4))


# --- refusals


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none.mp4", "none.mp4: no such file"),
        (".", "is a folder"),
        ("77", "camera 77: there is no"),
        ("empty.mp4", "the file is empty"),
        ("text.mp4", r"text.mp4: not a readable video: "),
    ],
)
def test_sources_that_are_none(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(DataError, match=message):
        read(source)


def test_sound_alone(shared_dir):
    with pytest.raises(DataError, match="there is no video stream in it"):
        read(shared_dir / "videos" / "clips" / "odd_audio_only.mp3")


@pytest.mark.parametrize(
    "options",
    [{"frame_rate": 0.0}, {"max_seconds": -1.0}, {"frame_size": (0, 4)}, {"buffer_frames": 0}],
)
def test_options_that_cannot_be(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        SourceOptions(**options)


def test_a_frame_size_for_a_file(tmp_path):
    path = write_video(tmp_path / "a.mp4", 3)
    with pytest.raises(ConfigError, match="for raw frames through a pipe"):
        open_source(path, SourceOptions(frame_size=(4, 4)))
