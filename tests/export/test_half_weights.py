"""Bundles with float16 weights: half the size, nearly the same logits, no cast left in a run."""

from collections import Counter

import numpy as np
import paddle
import pytest
from modeling.conftest import randomise
from runtime.conftest import PIPELINE
from runtime.test_stream_bundle import HAS_ONNX, ONNX, needs_onnx

import paddlevideo
from paddlevideo.export import ExportOptions, export_model, verify
from paddlevideo.export.half_weights import HalfWeights, fits_half
from paddlevideo.export.onnx_weights import store_weights, stored_values, symmetric_int8
from paddlevideo.runtime.engines.compiled.graph import read_graph
from paddlevideo.utils.errors import BundleError


@pytest.fixture(scope="module")
def model():
    return randomise(paddlevideo.create_model("movinet_t0_stream", num_classes=5)).eval()


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "b"
    return export_model(model, PIPELINE, folder, "m", None, ExportOptions(formats=ONNX))


@pytest.fixture(scope="module")
def half(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("half") / "b"
    options = ExportOptions(formats=ONNX, precision="fp16")
    return export_model(model, PIPELINE, folder, "m", None, options)


def test_half_the_size_in_every_file(whole, half):
    assert {program.precision for program in half.manifest.programs} == {"fp16"}
    weights = [name for name in half.manifest.files if not name.endswith((".json", ".npz"))]
    assert len(weights) == (4 if HAS_ONNX else 2)
    for name in weights:
        ratio = half.manifest.files[name]["size"] / whole.manifest.files[name]["size"]
        # A little more in the clip program: batch-norm statistics stay float32.
        assert 0.49 < ratio < 0.53, name


def test_within_a_hundredth_of_the_spread(model, half):
    """The figures are neither those of float32 nor far from them."""
    found = verify.verify_bundle(model, half)
    programs = [item.largest for item in found if "program" in item.what]
    assert len(programs) == (6 if HAS_ONNX else 2)
    assert all(1e-6 < largest < 1e-2 for largest in programs)


def test_beyond_the_tolerance_nothing_is_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "HALF_TOLERANCE", 1e-7)
    options = ExportOptions(mode="clip", precision="fp16", verify=True)
    with pytest.raises(BundleError, match=r"1e-07 of the logits spread.*clip program in paddle"):
        export_model(model, PIPELINE, tmp_path / "b", "m", None, options)
    assert not (tmp_path / "b").exists()


def test_the_model_is_left_as_it_was(model):
    before = {name: id(tensor) for name, tensor in model.named_parameters()}
    clip = paddle.to_tensor(np.full((1, 2, 3, 32, 32), 7, np.uint8))
    with paddle.no_grad():
        expected = model(clip).numpy()
        HalfWeights(model)(clip)
        np.testing.assert_array_equal(model(clip).numpy(), expected)
    assert {name: id(tensor) for name, tensor in model.named_parameters()} == before


def test_what_float16_cannot_hold_stays(model):
    layer = paddle.nn.Linear(4, 4)
    layer.weight.set_value(np.full((4, 4), 1e5, np.float32))
    stored = HalfWeights(layer)
    assert [list(tensor.shape) for tensor in stored.stored] == [[4]]
    assert float(stored(paddle.ones([1, 4]))[0, 0]) == pytest.approx(4e5)
    assert not fits_half(np.array([np.nan])) and fits_half(np.zeros(0)) and fits_half(-np.ones(3))


# --- in ONNX files


def test_int8_rounds_each_channel_to_its_own_scale():
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((6, 5, 3, 3)).astype(np.float32)
    weight *= np.array([1e-4, 1, 50, 0, 1, 1], np.float32).reshape(-1, 1, 1, 1)
    whole, scale = symmetric_int8(weight)
    assert whole.dtype == np.int8 and whole.min() >= -127 and scale.shape == (6, 1, 1, 1)
    largest = np.abs(weight).max(axis=(1, 2, 3))
    error = np.abs(whole * scale - weight).max(axis=(1, 2, 3))
    assert (error <= largest / 127 / 2 * 1.0001).all() and not whole[3].any()
    used = np.abs(whole.reshape(6, -1)).max(axis=1)
    assert used.tolist() == [127, 127, 127, 0, 127, 127]


def optimised_operations(path, folder):
    import onnx
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath = str(folder / "optimised.onnx")
    settings.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    graph = onnx.load(str(folder / "optimised.onnx")).graph
    return Counter(node.op_type for node in graph.node)


def operations_of(path):
    return Counter(node.kind for node in read_graph(path).nodes)


@needs_onnx
@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_onnxruntime_brings_them_back_when_it_loads(whole, tmp_path, storage):
    """The graph that runs has the operations of the float32 file, no cast or product more."""
    import onnx

    path = whole.step_files.onnx
    model = onnx.load(str(path))
    original = stored_values(model)
    store_weights(model, lambda _name, _array: storage)
    onnx.save(model, str(tmp_path / "small.onnx"))
    operations = optimised_operations(tmp_path / "small.onnx", tmp_path)
    assert operations == optimised_operations(path, tmp_path)
    folded = read_graph(tmp_path / "small.onnx")  # so does the compiled engine
    assert Counter(node.kind for node in folded.nodes) == operations_of(path)
    ratio = (tmp_path / "small.onnx").stat().st_size / path.stat().st_size
    assert ratio < {"float16": 0.52, "int8": 0.29}[storage]
    values = stored_values(model)
    for name, array in original.items():
        if array.dtype == np.float32 and array.size:
            bound = {"float16": 1e-3, "int8": 1 / 250}[storage] * np.abs(array).max()
            assert np.abs(values[name] - array).max() <= bound
