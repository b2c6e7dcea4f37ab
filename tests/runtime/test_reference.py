"""The reference of a bundle: small, the same every time, met by each engine, safe to read."""

import shutil
import zipfile

import numpy as np
import pytest
import yaml
from modeling.conftest import randomise

import paddlevideo
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.runtime import read_bundle
from paddlevideo.runtime.bundle import file_facts
from paddlevideo.runtime.manifest import TensorSpec
from paddlevideo.runtime.proof import prove_bundle
from paddlevideo.runtime.reference import NUM_STEPS, read_reference, unanswered
from paddlevideo.utils.errors import BundleError
from runtime.conftest import PIPELINE
from runtime.test_stream_bundle import HAS_ONNX, ONNX

NAME = "reference.npz"


def export(folder, seed=0, formats=()):
    network = paddlevideo.create_model("movinet_t0_stream", num_classes=5)
    pipeline = {**PIPELINE, "sample": {"name": "UniformSampler", "num_frames": 10}}
    options = ExportOptions(formats=formats)
    return export_model(randomise(network, seed).eval(), pipeline, folder, "m", None, options)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export(tmp_path_factory.mktemp("reference") / "b", formats=ONNX)


@pytest.fixture
def folder(exported, tmp_path):
    return shutil.copytree(exported.folder, tmp_path / "b")


def sign(folder):
    """Let the manifest have the checksums of the files as they are."""
    path = folder / "inference.yml"
    manifest = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**manifest, "files": file_facts(folder, manifest["files"])}))


def arrays_of(folder):
    with np.load(folder / NAME, allow_pickle=False) as file:
        return dict(file)


def change(folder, **arrays):
    np.savez(folder / NAME, **{**arrays_of(folder), **arrays})
    sign(folder)


def test_what_is_in_it(exported):
    arrays = arrays_of(exported.folder)
    shapes = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    assert shapes == {
        "frames.clip": ((4, 3, 32, 32), "uint8"),
        "order.clip": ((2, 10), "int32"),
        "clip_logits": ((2, 5), "float32"),
        "step_logits": ((NUM_STEPS, 2, 5), "float32"),
    }
    assert read_reference(exported).clips()["clip"].shape == (2, 10, 3, 32, 32)
    stated = exported.manifest.reference
    assert (stated.file, stated.tolerance, stated.of) == (NAME, 1e-4, "largest")


@pytest.mark.parametrize(("side", "length"), [(172, 50), (320, 120)])
def test_it_is_small_and_always_the_same(tmp_path, side, length):
    """A few hundred kB even for the largest network, and pixels of every value."""
    spec = TensorSpec("clip", (-1, length, 3, side, side), "uint8", "BTCHW")
    made, again = unanswered([spec]), unanswered([spec])
    np.testing.assert_array_equal(made.frames["clip"], again.frames["clip"])
    np.testing.assert_array_equal(made.order["clip"], again.order["clip"])
    assert len(np.unique(made.frames["clip"])) == 256
    made.write(tmp_path)
    assert (tmp_path / NAME).stat().st_size < (100_000 if side == 172 else 300_000)


def test_each_engine_meets_it(exported):
    found = {item.what: item.largest for item in prove_bundle(exported)}
    assert all(largest < 1e-5 for largest in found.values())
    engines = ["paddle", *(["onnxruntime", "compiled"] if HAS_ONNX else [])]
    assert {f"step program in {engine}, reference" for engine in engines} <= set(found)
    assert {f"clip program in {engine}, reference" for engine in engines} <= set(found)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The same network with other weights."""
    return export(tmp_path_factory.mktemp("other") / "b", seed=3)


@pytest.mark.parametrize(("name", "kind"), [("m", "clip"), ("m_step", "step")])
def test_a_wrong_program_is_noticed(folder, other, name, kind):
    """It is that of other weights, and the checksums say that it is right."""
    for ending in (".json", ".pdiparams"):
        shutil.copy(other.folder / f"{name}{ending}", folder)
    sign(folder)
    with pytest.raises(BundleError, match=f"does not compute .*: {kind} program in pad") as wrong:
        prove_bundle(read_bundle(folder))
    assert "onnxruntime" not in str(wrong.value)


def test_one_wrong_answer_is_noticed(folder):
    steps = arrays_of(folder)["step_logits"]
    steps[3, 1, 2] += 0.01 * np.abs(steps).max()
    change(folder, step_logits=steps)
    with pytest.raises(BundleError, match="step program in paddle") as wrong:
        prove_bundle(read_bundle(folder))
    assert "clip program" not in str(wrong.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"clip_logits": np.zeros((2, 4), np.float32)}, r"clip_logits is \[2, 4\] float32"),
        ({"clip_logits": np.zeros((0, 5), np.float32)}, "0 clips, expected 1 to 8"),
        ({"order.clip": np.full((2, 10), 4, np.int32)}, "order.clip names frames that are not"),
        ({"order.clip": np.zeros((2, 9), np.int32)}, r"order.clip is \[2, 9\] int32"),
        ({"frames.clip": np.zeros((4, 3, 8, 8), np.uint8)}, "frames.clip is"),
        ({"step_logits": np.zeros((11, 2, 5), np.float32)}, "step_logits of 11 frames"),
        ({"step_logits": np.zeros(3)}, r"step_logits is \[3\] float64"),
    ],
)
def test_arrays_that_do_not_fit(folder, arrays, message):
    change(folder, **arrays)
    with pytest.raises(BundleError, match=message):
        prove_bundle(read_bundle(folder))


def test_an_array_is_missing(folder):
    arrays = arrays_of(folder)
    del arrays["step_logits"]
    np.savez(folder / NAME, **arrays)
    sign(folder)
    with pytest.raises(BundleError, match=r"reference.npz does not fit its bundle: 'step_logits'"):
        read_reference(read_bundle(folder))


def test_files_that_are_none(folder):
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(folder / NAME, allow_pickle=True, clip_logits=objects)
    for content in ((folder / NAME).read_bytes(), b"PK", b"", b"\x93NUMPY"):
        (folder / NAME).write_bytes(content)
        sign(folder)
        with pytest.raises(BundleError, match=r"reference.npz.*damaged"):
            read_reference(read_bundle(folder))
    with zipfile.ZipFile(folder / NAME, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("clip_logits.npy", bytes(300_000_000))
    sign(folder)
    with pytest.raises(BundleError, match="archive_bytes"):
        read_reference(read_bundle(folder))


def test_a_bundle_without_one(folder):
    path = folder / "inference.yml"
    manifest = yaml.safe_load(path.read_text())
    del manifest["reference"]
    path.write_text(yaml.safe_dump(manifest))
    with pytest.raises(BundleError, match=r"has no reference.npz; export the model again"):
        prove_bundle(read_bundle(folder))


def test_it_belongs_to_the_files(folder):
    (folder / NAME).unlink()
    with pytest.raises(BundleError, match=r"reference.npz is missing"):
        read_bundle(folder)
