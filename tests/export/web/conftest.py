"""A small causal model, its bundle and its page; videos for the page's camera."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import paddle
import pytest
from modeling.conftest import randomise

from export.web.serving import CHROMIUM, FAKE_CAMERA, chromium, served
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.export.web import require_runtime, write_site
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.runtime import Bundle
from paddlevideo.utils.errors import DownloadError

LABELS = ["abseiling", "tai chi", "Übung: Knie", "日本", "<b>no</b>"]
RATE = 30.0
PIPELINE = {
    "decode": {"name": "VideoDecoder"},
    "sample": {"name": "StridedSampler", "num_frames": 8, "stride": 1, "stride_fps": RATE},
    "transform": [
        {"Scale": {"short_size": 36, "fixed_ratio": False}},
        {"CenterCrop": {"target_size": 32}},
        "Image2Array",
    ],
}
WIDTH, HEIGHT = 64, 48


def moving_square(number: int) -> np.ndarray:
    """A frame: a bright square that goes from left to right over a dark red, 32 frames a turn."""
    frame: np.ndarray = np.full((HEIGHT, WIDTH, 3), (90, 20, 30), np.uint8)
    left = 2 * (number % 24)
    frame[12:36, left : left + 16] = (230, 220, 120)
    return frame


def write_y4m(path: Path, frames: list[np.ndarray], rate: int = 30) -> Path:
    """Write what a fake camera is fed from."""
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420jpeg\n".encode())
        for image in frames:
            file.write(b"FRAME\n")
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            for plane in frame.planes:
                rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                file.write(rows[:, : plane.width].tobytes())
    return path


def write_mp4(path: Path, frames: list[np.ndarray], rate: int = 30) -> Path:
    """Write a file as a phone does: H.264 in MP4."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def stream_model():
    paddle.seed(0)
    section = model_section("movinet_t0_stream", num_classes=len(LABELS))
    return randomise(build_recognizer(section), seed=8).eval()


@pytest.fixture(scope="session")
def bundle(stream_model, tmp_path_factory) -> Bundle:
    """Tests must not change it."""
    pytest.importorskip("paddle2onnx")
    folder = tmp_path_factory.mktemp("web") / "bundle"
    options = ExportOptions(formats=("onnx",))
    return export_model(stream_model, PIPELINE, folder, "small", LABELS, options)


@pytest.fixture(scope="session")
def runtime_archive() -> Path:
    """onnxruntime-web; without it there is no page."""
    try:
        return require_runtime()
    except DownloadError as error:
        pytest.skip(f"needs onnxruntime-web: {error}")


@pytest.fixture(scope="session")
def site(bundle, runtime_archive, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "page"
    write_site(bundle, folder, "Small & quick")
    return folder


@pytest.fixture(scope="session")
def address(site):
    """Of the page without the headers that threads need, as ``python -m http.server`` serves it."""
    with served(site) as url:
        yield url


@pytest.fixture(scope="session")
def camera_frames() -> list[np.ndarray]:
    return [moving_square(number) for number in range(48)]


@pytest.fixture(scope="package")
def driver():
    """What drives the browser; the tests are skipped where there is none.

    Not of the session: its event loop is the running one of this thread until it is closed.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as opened:
        yield opened


@pytest.fixture(scope="package")
def browser(driver, camera_frames, tmp_path_factory):
    """With a camera that shows a moving square."""
    video = write_y4m(tmp_path_factory.mktemp("camera") / "square.y4m", camera_frames)
    with chromium(driver, *FAKE_CAMERA, f"--use-file-for-fake-video-capture={video}") as opened:
        yield opened
