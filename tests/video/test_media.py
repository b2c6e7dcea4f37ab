"""A video from a path, bytes or a file object gives the same frames, whatever reads it."""

import io
from pathlib import Path

import numpy as np
import pytest

from paddlevideo.utils.errors import DataError
from paddlevideo.utils.windows import Window
from paddlevideo.video import Pipeline
from paddlevideo.video.decoders import FrameSource, OpenCVSource, PyAVSource
from paddlevideo.video.decoders.approximate import open_approximate
from paddlevideo.video.decoders.decord import DecordSource
from paddlevideo.video.decoders.packet_index import IndexCache
from paddlevideo.video.decoders.seeking import IndexedSource, open_exact
from paddlevideo.video.media import BytesMedia, Media, StreamMedia, as_media
from video.conftest import description, write_video

KINDS = ("bytes", "stream")


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("media") / "v.mp4", 20)


def media_of(video: Path, kind: str) -> Media:
    content = video.read_bytes()
    media = as_media(content if kind == "bytes" else io.BytesIO(content), "up/v.mp4")
    assert (type(media), media.name, media.path) == (
        BytesMedia if kind == "bytes" else StreamMedia, "up/v.mp4", None,
    )  # fmt: skip
    return media


def same_frames(ours: FrameSource, theirs: FrameSource) -> bool:
    wanted = [0, 7, 3, 19]
    assert ours.num_frames == theirs.num_frames and ours.fps == theirs.fps
    assert np.array_equal(ours.times_seconds, theirs.times_seconds)
    return np.array_equal(ours.read(wanted), theirs.read(wanted))


@pytest.mark.parametrize("kind", KINDS)
def test_every_reader_of_bytes(video, kind):
    media = media_of(video, kind)
    whole = PyAVSource(str(video))
    assert same_frames(PyAVSource(media), whole)
    assert same_frames(PyAVSource(media, keep_bytes=0), whole)
    assert same_frames(open_approximate(media), open_approximate(str(video)))
    cache = IndexCache()
    for _ in range(2):
        with open_exact(media, cache) as source:
            assert isinstance(source, IndexedSource) and same_frames(source, whole)
    assert cache.get(media)[0] == (media.key is not None) == (kind == "bytes")


def test_from_the_disk_an_index_of_bytes_serves_again(video, tmp_path):
    content = video.read_bytes()
    open_exact(BytesMedia(content, "a.mp4"), IndexCache(str(tmp_path))).close()
    assert IndexCache(str(tmp_path)).get(BytesMedia(content, "b.mp4"))[0]
    assert not IndexCache(str(tmp_path)).get(BytesMedia(content + b"\0", "b.mp4"))[0]


@pytest.mark.parametrize("seek", ["none", "exact", "approximate"])
def test_a_pipeline_takes_any_of_them(video, seek):
    pipeline = Pipeline(description(decode={"name": "VideoDecoder", "seek": seek}))
    content = video.read_bytes()
    expected = pipeline.load(str(video))
    for each in (video, content, io.BytesIO(content), BytesMedia(content)):
        assert np.array_equal(pipeline.load(each), expected)
    with video.open("rb") as file:
        assert np.array_equal(pipeline.load(file), expected)
        assert not file.closed


def test_what_cannot_be_read_is_one_message(video):
    pipeline = Pipeline(description())
    with pytest.raises(DataError, match=r"^video: the file is empty \(0 bytes\)$"):
        pipeline.load(b"")
    with pytest.raises(DataError, match=r"^video: not a readable video"):
        pipeline.load(b"no video at all")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n"
    with pytest.raises(DataError, match=r"^list.m3u8: not a readable video"):
        PyAVSource(BytesMedia(playlist.encode(), "list.m3u8"))
    for source, backend in ((DecordSource, "decord"), (OpenCVSource, "cv2")):
        with pytest.raises(DataError, match=rf"^v.mp4: backend {backend} reads files alone"):
            source(BytesMedia(video.read_bytes(), "v.mp4"))
    frames = Pipeline(description(decode={"name": "FrameDecoder"}))
    with pytest.raises(DataError, match="FrameDecoder reads folders of images"):
        frames.load(video.read_bytes())


def test_a_pipe_is_refused():
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(DataError, match="cannot be sought in"):
        as_media(Pipe(b"x"))


def test_windows_have_their_own_positions():
    media = StreamMedia(io.BytesIO(bytes(range(100))))
    one, other = media.open(), media.open()
    assert one.read(10) == bytes(range(10)) and other.read(3) == bytes(range(3))
    assert one.seek(-5, 2) == 95 and one.read() == bytes(range(95, 100)) and one.read(1) == b""
    assert other.read(2) == bytes([3, 4])
    window = Window(lambda size, at: b"x" * size, 4)
    with pytest.raises(ValueError, match="before the first byte"):
        window.seek(-1)
    assert window.seek(9) == 9 and window.read() == b""
