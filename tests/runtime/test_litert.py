"""The LiteRT engine on a file made by hand; what --format tflite writes: tests/export."""

import numpy as np
import pytest

from paddlevideo.export import tflite_script
from paddlevideo.runtime.engines import EngineOptions, engines_of, litert, open_engine
from paddlevideo.runtime.engines.base import ProgramFiles
from paddlevideo.utils.errors import BundleError, DeviceError

pytest.importorskip("ai_edge_litert", reason="the extra litert is not installed")
from runtime.tflite_files import OUTPUTS, write_means, write_sums

OPTIONS = EngineOptions(device="cpu", cpu_threads=1, engine="litert")


def files(path) -> ProgramFiles:
    return ProgramFiles({"tflite": (path,)}, OUTPUTS)


@pytest.fixture(scope="module")
def sums(tmp_path_factory) -> ProgramFiles:
    return files(write_sums(tmp_path_factory.mktemp("litert") / "sums.tflite"))


def feeds(batch: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(batch)
    return {
        "frame": rng.integers(0, 256, (batch, 3, 2, 4), np.uint8),
        "state": rng.random((batch, 3, 2, 4), np.float32),
        "count": np.full(batch, 7, np.int32),
    }


@pytest.mark.parametrize("batch", [1, 3])
def test_channels_are_second_outside_and_last_inside(sums, batch):
    """In the order of the manifest whatever the file has; several streams one after the other."""
    given, engine = feeds(batch), open_engine(sums, OPTIONS)
    expected = given["frame"].astype(np.float32) + given["state"]
    outputs = engine.run(given)
    assert tuple(outputs) == OUTPUTS and engine.name == "litert"
    np.testing.assert_array_equal(outputs["new_state"], expected)
    np.testing.assert_allclose(outputs["logits"], expected.mean((2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(outputs["new_count"], np.full(batch, 8))
    assert all(engine.declared[name].fits(array) for name, array in given.items())
    tensor = engine.tensor(given["state"])
    assert tensor.shape == (batch, 2, 4, 3)
    np.testing.assert_array_equal(engine.array(tensor), given["state"])


@pytest.mark.parametrize("batch", [1, 2])
def test_clips(tmp_path, batch):
    """[B, T, C, H, W] outside, channels last inside, one after the other."""
    path = write_means(tmp_path / "means.tflite")
    engine = open_engine(ProgramFiles({"tflite": (path,)}, ("logits",)), OPTIONS)
    clip = np.random.default_rng(batch).integers(0, 256, (batch, 2, 3, 2, 4), np.uint8)
    (given,) = engine.run({"clip": clip}).values()
    np.testing.assert_allclose(given, clip.mean((1, 3, 4)), rtol=1e-6)
    assert engine.declared["clip"].fits(clip)
    tensor = engine.tensor(clip)
    assert tensor.shape == (batch, 2, 2, 4, 3)
    np.testing.assert_array_equal(engine.array(tensor), clip)


def test_a_state_stays_the_engines_own(sums):
    """What one run gives is the next one's input, and no later run changes it."""
    given, engine = feeds(2), open_engine(sums, OPTIONS)
    tensors = {name: engine.tensor(array) for name, array in given.items()}
    first = engine.run_tensors(tensors)["new_state"]
    before = engine.array(first)
    second = engine.run_tensors({**tensors, "state": first})["new_state"]
    np.testing.assert_array_equal(engine.array(first), before)
    np.testing.assert_array_equal(engine.array(second), before + given["frame"].astype(np.float32))


def test_auto_takes_it_last(sums):
    assert engines_of(sums) == ["litert"]
    assert open_engine(sums, EngineOptions(device="cpu")).name == "litert"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"frame": np.zeros((2, 3, 2, 5), np.uint8)}, r"cannot run on frame \[2, 2, 5, 3\]"),
        ({"frame": np.zeros((1, 3, 2, 4), np.uint8)}, "cannot run on"),
        ({"state": np.zeros((2, 3, 2, 4), np.float64)}, "float64"),
        ({"other": np.zeros(2)}, "unknown inputs: other"),
    ],
)
def test_what_it_cannot_run(sums, change, message):
    with pytest.raises(BundleError, match=message):
        open_engine(sums, OPTIONS).run({**feeds(2), **change})


def test_files_it_refuses(sums, tmp_path, monkeypatch):
    other = write_sums(tmp_path / "other.tflite", signature="serving_default")
    with pytest.raises(BundleError, match="signatures: serving_default; expected channels_last"):
        open_engine(files(other), OPTIONS)
    with pytest.raises(BundleError, match=r"lost\.tflite is missing"):
        open_engine(files(tmp_path / "lost.tflite"), OPTIONS)
    with pytest.raises(BundleError, match="3 outputs where 1 are named"):
        open_engine(ProgramFiles(sums.files, ("logits",)), OPTIONS)
    renamed = ("logits", "new_state", "count")
    with pytest.raises(BundleError, match="differ in their outputs: count, new_count"):
        open_engine(ProgramFiles(sums.files, renamed), OPTIONS)
    with pytest.raises(BundleError, match="holds no TFLite file"):
        open_engine(ProgramFiles({"onnx": (tmp_path / "x.onnx",)}, OUTPUTS), OPTIONS)
    wide = write_sums(tmp_path / "wide.tflite", width=2**30)
    with pytest.raises(BundleError, match="a tensor that is too large"):
        open_engine(files(wide), OPTIONS)
    monkeypatch.setenv("PADDLEVIDEO_LIMITS", "tflite_bytes=100")
    with pytest.raises(BundleError, match=r"sums\.tflite is too large; the limit tflite_bytes"):
        open_engine(sums, OPTIONS)


@pytest.mark.parametrize("kept", [0, 7, 100, 0.5, 0.9])
def test_a_file_that_was_cut(sums, tmp_path, kept):
    data = sums.tflite.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(data[: kept if isinstance(kept, int) else int(len(data) * kept)])
    with pytest.raises(BundleError, match=r"cut\.tflite"):
        open_engine(files(cut), OPTIONS)


@pytest.mark.parametrize("options", [{"device": "gpu"}, {"use_tensorrt": True}])
def test_what_it_cannot_do(sums, options):
    with pytest.raises(DeviceError, match=r"on the CPU|is Paddle's"):
        open_engine(sums, EngineOptions(**{"device": "cpu", "engine": "litert", **options}))


def test_the_writer_has_the_same_signature():
    """The script that writes the file runs where our package is not."""
    assert tflite_script.SIGNATURE == litert.SIGNATURE
