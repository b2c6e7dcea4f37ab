"""What is damaged is skipped and counted; too much of it is an error."""

import logging

import av
import numpy as np
import pytest
from apps.stream_servers import write_timed

from paddlevideo.apps.sources.factory import open_source
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.limits import LIMITS_VARIABLE
from paddlevideo.video import Pipeline
from paddlevideo.video.decoders import OpenCVSource, PyAVSource
from video.conftest import description, grey_of, write_video


def write_pictures(path, num_frames=40, size=(64, 48)):
    """Each packet a picture of its own (MJPEG): what is lost with it is one frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        (stream.width, stream.height), stream.pix_fmt = size, "yuvj420p"
        texture = np.random.default_rng(0).integers(0, 80, (size[1], size[0], 3), np.uint8)
        for number in range(num_frames):
            image = texture + np.uint8(grey_of(number) // 2)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuvj420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def damage(path, numbers):
    """Overwrite the packets with these numbers by zeros."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for number in numbers:
        start, size = packets[number]
        data[start : start + size] = bytes(size)
    path.write_bytes(data)
    return str(path)


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_a_damaged_packet_is_one_lost_frame(tmp_path, name, caplog):
    path = damage(write_pictures(tmp_path / name, 40), [7])
    with caplog.at_level(logging.WARNING, logger="paddlevideo"):
        with PyAVSource(path) as source:
            assert (source.num_frames, source.frames_lost) == (39, 1)
            assert source.read([0, 38]).shape == (2, 48, 64, 3)
        again = PyAVSource(path, keep_bytes=0)
        assert again.read([38]).shape[0] == 1
    warnings = [r for r in caplog.records if "1 of 40 frames cannot be decoded" in r.message]
    assert len(warnings) == 1
    reader = open_source(path)
    assert len([frame.time_seconds for frame in reader]) == 39
    assert (reader.frames_read, reader.frames_lost) == (39, 1)
    assert OpenCVSource(path).frames_lost == 1


def test_a_sample_knows_its_losses(tmp_path):
    path = damage(write_pictures(tmp_path / "a.avi", 40), [7, 8])
    assert Pipeline(description()).load_sample(path).frames_lost == 2


@pytest.mark.parametrize("read", [PyAVSource, lambda path: list(open_source(path))])
def test_more_than_half_lost_is_an_error(tmp_path, read, monkeypatch):
    path = damage(write_pictures(tmp_path / "a.avi", 40), range(1, 24))
    with pytest.raises(DataError, match=r"23 of 40 frames cannot be decoded.*lost_share is 0.5"):
        read(path)
    monkeypatch.setenv(LIMITS_VARIABLE, "lost_share=0.9")
    read(path)


def test_many_bad_packets_in_a_row_end_the_reading(tmp_path, monkeypatch):
    path = damage(write_pictures(tmp_path / "a.avi", 40), range(30, 35))
    monkeypatch.setenv(LIMITS_VARIABLE, "bad_packets=2")
    source = PyAVSource(path)
    assert (source.num_frames, source.frames_lost) == (30, 10)


# file: frames read, lost, time of the first
CASES = {
    "mjpeg_ok.avi": (100, 0, 0.0),
    "mjpeg_zero.avi": (99, 1, 0.0),
    "mjpeg_noise0.avi": (99, 1, 0.04),
    "mpeg4_zero.avi": (99, 1, 0.0),
    "vp8_ok.webm": (100, 0, 0.0),
    "vp8_noise.webm": (91, 9, 0.0),
    "latin1_tags.mov": (3, 0, 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_cases(shared_dir, name):
    path = str(shared_dir / "cases/damaged" / name)
    source = PyAVSource(path)
    first = float(source.times_seconds[0])
    assert (source.num_frames, source.frames_lost, pytest.approx(first)) == CASES[name]
    reader = open_source(path)
    assert [frame.time_seconds for frame in reader] == source.times_seconds.tolist()
    assert reader.frames_lost == source.frames_lost


@pytest.mark.parametrize("source_class", [PyAVSource, OpenCVSource])
def test_an_unknown_codec(shared_dir, source_class):
    with pytest.raises(DataError, match="a codec that FFmpeg does not know"):
        source_class(str(shared_dir / "cases/damaged/unknown_codec.mov"))


@pytest.mark.parametrize("error", [UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), MemoryError(),
                                   AssertionError("x"), OverflowError("x")])  # fmt: skip
def test_whatever_the_library_raises(tmp_path, monkeypatch, error):
    path = str(write_video(tmp_path / "a.mp4", 8))

    def fail(*_arguments, **_options):
        raise error

    source = PyAVSource(path)
    monkeypatch.setattr("paddlevideo.video.decoders.pyav.RgbConverter.convert", fail)
    with pytest.raises(DataError, match=r"a\.mp4: its frames cannot be read"):
        source.read([0])
    monkeypatch.setattr(av, "open", fail)
    for read in (PyAVSource, OpenCVSource, lambda path: list(open_source(path))):
        with pytest.raises(DataError, match=r"a\.mp4: not a readable video"):
            read(path)


def test_a_bad_number_is_still_a_defect(tmp_path):
    source = PyAVSource(str(write_video(tmp_path / "a.mp4", 8)))
    with pytest.raises(IndexError):
        source.read(np.array([8]))


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
@pytest.mark.parametrize("is_noise", [False, True])
def test_a_body_that_was_replaced_is_an_error(tmp_path, name, is_noise):
    """The containers skip to their end without a word; the header knows better."""
    path = write_pictures(tmp_path / name, size=(192, 144))
    data = path.read_bytes()
    start = len(data) // 4
    rest = len(data) - start
    path.write_bytes(
        data[:start] + (np.random.default_rng(0).bytes(rest) if is_noise else bytes(rest))
    )
    for read in (PyAVSource, lambda path: list(open_source(path))):
        with pytest.raises(DataError, match="frames cannot be decoded"):
            read(str(path))


def test_a_small_file_that_is_mostly_header_is_whole(tmp_path):
    path = write_timed(tmp_path / "a.mkv", [0, 40, 2500])
    assert (PyAVSource(str(path)).num_frames, PyAVSource(str(path)).frames_lost) == (3, 0)
