"""One small exported model, shared by all tests of this folder, and a video to classify."""

import shutil
from pathlib import Path

import numpy as np
import paddle
import pytest
from modeling.conftest import randomise
from video.conftest import write_video

import paddlevideo
from paddlevideo.export import ExportOptions, export_clip_model, export_model
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.runtime import Bundle
from paddlevideo.utils.packages import is_installed

NUM_CLASSES = 5
LABELS = ["abseiling", "tai chi", "Übung: Knie", "日本", "no"]
PIPELINE = {
    "decode": {"name": "VideoDecoder"},
    "sample": {"name": "UniformSampler", "num_frames": 4},
    "transform": [
        {"Scale": {"short_size": 36}},
        {"CenterCrop": {"target_size": 32}},
        "Image2Array",
    ],
}


def clips(batch: int, seed: int = 0) -> np.ndarray:
    """Random pixels of the exported size."""
    return np.random.default_rng(seed).integers(0, 256, (batch, 4, 3, 32, 32), np.uint8)


@pytest.fixture(scope="module")
def patch():
    """Changes for the tests of a module, also of those that hypothesis runs many times."""
    with pytest.MonkeyPatch.context() as context:
        yield context


@pytest.fixture(scope="session")
def model():
    paddle.seed(0)
    section = model_section("movinet_a0_base", num_classes=NUM_CLASSES)
    return randomise(build_recognizer(section)).eval()


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory) -> Bundle:
    """The bundle as it was exported; tests must not change it."""
    return export_clip_model(
        model, PIPELINE, tmp_path_factory.mktemp("export") / "bundle", "MoViNetA0", LABELS
    )


def whole_sums(states: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """States, where what rounding took from a sum is added to it: alone it says nothing.

    A sum of two engines that is one rounding apart has another rest in each of them.
    """
    whole = {name: array for name, array in states.items() if not name.endswith("_pool_rest")}
    for name in set(states) - set(whole):
        of = name.removesuffix("_rest") + "_buffer"
        whole[of] = states[of].astype(np.float64) + states[name]
    return whole


@pytest.fixture(scope="session")
def small_stream(tmp_path_factory) -> Bundle:
    """A small causal model as ONNX files; tests must not change it."""
    if not is_installed("paddle2onnx"):
        pytest.skip("the extra onnx is not installed")
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=4).eval()
    folder = tmp_path_factory.mktemp("small_stream")
    return export_model(model, PIPELINE, folder, "small", None, ExportOptions(formats=("onnx",)))


@pytest.fixture(scope="session", autouse=True)
def _compiled_ahead(compiled_kernels) -> None:
    """``auto`` takes the compiled engine at once."""


@pytest.fixture
def bundle_dir(exported, tmp_path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(exported.folder, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "my video.mp4", 12)
