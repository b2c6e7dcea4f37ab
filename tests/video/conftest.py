"""Videos whose pixels tell the number of the frame."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from paddlevideo.video import Pipeline

GREY_STEP = 4


def grey_of(number: int) -> int:
    """The grey level of frame ``number``."""
    return 20 + GREY_STEP * number


def numbers_of(clip: np.ndarray) -> list[int]:
    """Frame numbers of a clip, whatever its layout, from its mean grey levels (T is axis 0)."""
    means = clip.reshape(len(clip), -1).mean(axis=1)
    return [round((mean - grey_of(0)) / GREY_STEP) for mean in means]


def write_video(path: Path, num_frames: int, width: int = 64, height: int = 48) -> Path:
    """Write grey frames, frame i of level ``grey_of(i)``, as MPEG-4 with B-frames in between."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 4_000_000
        stream.codec_context.max_b_frames = 2
        for number in range(num_frames):
            image = np.full((height, width, 3), grey_of(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_frames(folder: Path, num_frames: int, width: int = 64, height: int = 48) -> Path:
    """Write ``img_00001.jpg`` ...; image i + 1 has level ``grey_of(i)``."""
    folder.mkdir(parents=True)
    for number in range(num_frames):
        image = np.full((height, width, 3), grey_of(number), np.uint8)
        Image.fromarray(image).save(folder / f"img_{number + 1:05}.jpg", quality=95)
    return folder


@pytest.fixture(scope="session")
def video_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven videos of 8 to 20 frames: ``v0.mp4`` ... ``v6.mp4``."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(7):
        write_video(folder / f"v{number}.mp4", 8 + 2 * number)
    return folder


@pytest.fixture(scope="session")
def video_list(video_dir: Path) -> Path:
    """A list of the seven videos, video i with label i."""
    file = video_dir / "videos.list"
    file.write_text("".join(f"v{i}.mp4 {i}\n" for i in range(7)))
    return file


def description(**changes: object) -> dict:
    """A small pipeline: 4 frames of 32x32, uint8."""
    base = {
        "decode": {"name": "VideoDecoder"},
        "sample": {"name": "UniformSampler", "num_frames": 4},
        "transform": [
            {"Scale": {"short_size": 36}},
            {"RandomCrop": {"target_size": 32}},
            {"RandomFlip": None},
            "Image2Array",
        ],
    }
    return {**base, **changes}


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline(description())
