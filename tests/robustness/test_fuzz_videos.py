"""Mutated videos, as clips and as streams: refused or read, and never more than that."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video.conftest import description

from paddlevideo.apps.sources.factory import open_source
from paddlevideo.video import Pipeline
from robustness.guarded import failures, outcomes
from robustness.mutations import mutants

# (name, encoder, container)
KINDS = [
    ("mpeg4.avi", "mpeg4", "avi"),
    ("h264.mp4", "libx264", "mp4"),
    ("vp8.webm", "libvpx", "webm"),
    ("vp9.mkv", "libvpx-vp9", "matroska"),
    ("mjpeg.avi", "mjpeg", "avi"),
    ("hevc.mkv", "libx265", "matroska"),
    ("mpeg2.ts", "mpeg2video", "mpegts"),
    ("mpeg1.mpg", "mpeg1video", "mpeg"),
    ("picture.gif", "gif", "gif"),
    ("flash.flv", "flv", "flv"),
    ("h264.mov", "libx264", "mov"),
]


def encode(path: Path, codec: str, container_format: str, num_frames: int = 20) -> bytes | None:
    """A small moving picture; None where FFmpeg was built without the encoder."""
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    try:
        av.codec.Codec(codec, "w")
    except (ValueError, av.error.FFmpegError):
        return None
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(0, 255, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
        for number in range(num_frames):
            image = av.VideoFrame.from_ndarray(np.roll(texture, 2 * number, 1), format="rgb24")
            frame = image.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.fixture(scope="module")
def whole_videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    made = {name: encode(folder / name, codec, form) for name, codec, form in KINDS}
    videos = {name: data for name, data in made.items() if data is not None}
    assert len(videos) >= 5
    return videos


def checks(folder: Path, backend: str) -> Callable[[tuple[str, bytes]], object]:
    decode = {"name": "VideoDecoder", "backend": backend}
    pipeline = Pipeline(description(decode=decode))

    def check(case: tuple[str, bytes]) -> object:
        name, data = case
        path = folder / name
        path.write_bytes(data)
        told = []
        for read in (_as_clip(pipeline, path), _as_stream(path)):
            try:
                told.append(read())
            except Exception as error:
                if type(error).__name__ != "DataError":
                    raise
                told.append(str(error))
        return told

    return check


def _as_clip(pipeline: Pipeline, path: Path) -> Callable[[], object]:
    return lambda: pipeline.load(str(path)).shape


def _as_stream(path: Path) -> Callable[[], object]:
    def read() -> int:
        times = []
        for frame in open_source(path):
            times.append(frame.time_seconds)
            if len(times) <= 3:
                frame.rgb()
        assert times == sorted(times)
        return len(times)

    return read


def fuzz(videos: dict[str, bytes], folder: Path, count: int, seed: int, backend: str) -> None:
    share = -(-count // len(videos) // 2)
    streams = [
        [(name, label, mutant) for label, mutant in mutants(data, share, seed, in_body)]
        for name, data in videos.items()
        for in_body in (False, True)
    ]
    cases = list(itertools.chain.from_iterable(streams))
    results = outcomes(checks(folder, backend), [(name, mutant) for name, _, mutant in cases])
    names = [f"{name}, {label}" for name, label, _ in cases]
    assert not failures(results, names)
    whole = sum("(4, 3, 32, 32)" in result.text for result in results)
    assert whole > 0.2 * len(cases), f"{whole} of {len(cases)} gave a clip"


def test_whole_videos_are_read(whole_videos, tmp_path):
    results = outcomes(checks(tmp_path, "pyav"), list(whole_videos.items()))
    assert [result.text for result in results] == [str([(4, 3, 32, 32), 20])] * len(results)


@pytest.mark.parametrize(("backend", "count"), [("pyav", 200), ("cv2", 40)])
def test_mutated_videos(whole_videos, tmp_path, backend, count):
    fuzz(whole_videos, tmp_path, count, 8, backend)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [101, 102])
def test_many_mutated_videos(whole_videos, tmp_path, seed):
    fuzz(whole_videos, tmp_path, 1000, seed, "pyav")
