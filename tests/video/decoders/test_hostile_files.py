"""Huge pictures, files that open others, and names that look like addresses."""

import struct
import time

import av
import pytest
from PIL import Image

from paddlevideo.apps.sources.factory import open_source
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.limits import LIMITS_VARIABLE
from paddlevideo.video.decoders import FrameFolder, OpenCVSource, PyAVSource
from video.conftest import write_frames, write_video


def as_stream(path):
    return list(open_source(path))


READERS = pytest.mark.parametrize("read", [PyAVSource, OpenCVSource, as_stream])


def write_gif(path, width, height):
    """A few bytes a frame, whatever the size of the picture."""
    frame = b"\x21\xf9\x04\0\4\0\0\0\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    header = b"GIF89a" + struct.pack("<2H3B", width, height, 0x80, 0, 0) + bytes(6)
    path.write_bytes(header + 50 * frame + b";")
    return str(path)


def write_blank(path, width, height):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        frame = av.VideoFrame(width, height, "yuvj420p")
        for number in range(2):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


@READERS
class TestLimits:
    def test_pixels_of_a_gif(self, read, tmp_path):
        with pytest.raises(DataError, match="frame_pixels is 40000000"):
            read(write_gif(tmp_path / "a.gif", 8000, 8000))

    def test_pixels_of_a_video(self, read, tmp_path):
        with pytest.raises(DataError, match="frame_pixels is 40000000"):
            read(write_blank(tmp_path / "a.avi", 8192, 8192))

    def test_aspect(self, read, tmp_path):
        with pytest.raises(DataError, match=r"16x2000 pixels.*frame_aspect is 32"):
            read(write_blank(tmp_path / "a.avi", 16, 2000))

    def test_number_of_frames(self, read, tmp_path, monkeypatch):
        path = str(write_video(tmp_path / "a.mp4", 40))
        monkeypatch.setenv(LIMITS_VARIABLE, "video_frames=39")
        with pytest.raises(DataError, match="video_frames is 39"):
            read(path)

    def test_time(self, read, tmp_path, monkeypatch):
        path = str(write_video(tmp_path / "a.mp4", 40))
        monkeypatch.setenv(LIMITS_VARIABLE, "read_seconds=1e-9,read_seconds_per_megabyte=1e-9")
        with pytest.raises(DataError, match=r"takes too long.*read_seconds"):
            read(path)


def test_pixels_of_a_clip(tmp_path, monkeypatch):
    monkeypatch.setenv(LIMITS_VARIABLE, "clip_pixels=10000")
    folder = str(write_frames(tmp_path / "f", 4))
    video = str(write_video(tmp_path / "a.mp4", 8))
    for source in (PyAVSource(video), OpenCVSource(video), FrameFolder(folder)):
        assert source.read([0, 1, 2]).shape[0] == 3
        with pytest.raises(DataError, match=r"clip of 4 frames of 64x48 pixels.*clip_pixels"):
            source.read([0, 1, 0, 1])


def test_pixels_of_an_image(tmp_path):
    Image.new("L", (13000, 13000)).save(tmp_path / "img_00001.jpg")
    Image.new("1", (16000, 16000)).save(tmp_path / "img_00002.png")  # over Pillow's own limit
    for suffix, index in (("img_{:05}.jpg", 0), ("img_{:05}.png", 1)):
        with pytest.raises(DataError, match="frame_pixels is 40000000"):
            FrameFolder(str(tmp_path), suffix, 2).read([index])


def playlists(folder):
    """Text files that name the video beside them."""
    live = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nsecret.ts\n"
    return {
        "concat.mp4": "ffconcat version 1.0\nfile secret.ts\n",
        "live.m3u8": live,
        "live.mp4": live,
        "vod.m3u8": f"{live}#EXT-X-ENDLIST\n",
        "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "a.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
        "<AdaptationSet><BaseURL>secret.ts</BaseURL></AdaptationSet></Period></MPD>",
    }


@READERS
@pytest.mark.parametrize("name", playlists(None))
def test_playlists_open_nothing(read, name, tmp_path):
    write_video(tmp_path / "secret.ts", 10)
    path = tmp_path / name
    path.write_text(playlists(tmp_path)[name])
    begin = time.monotonic()
    with pytest.raises(DataError, match="not a readable video"):
        read(str(path))
    assert time.monotonic() - begin < 20  # a live playlist never ended


@READERS
def test_images_are_no_videos(read, tmp_path):
    folder = write_frames(tmp_path / "f", 3)
    (folder / "img_%05d.jpg").write_bytes((folder / "img_00001.jpg").read_bytes())
    for name in ("img_00001.jpg", "img_%05d.jpg"):
        with pytest.raises(DataError, match="not a readable video"):
            read(str(folder / name))


@READERS
@pytest.mark.parametrize(
    "name", ["12:30:05.mp4", "pipe:0.mp4", "file:a.mp4", "a%03d.mp4", "é?#.mp4"]
)
def test_names_that_look_like_addresses(read, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "plain.mp4", 5).rename(tmp_path / name)
    source = read(name)
    assert len(source.read([0, 4]) if hasattr(source, "read") else source[:2]) == 2
