"""What every engine keeps to: `paddlevideo.runtime.engines.base.Engine`."""

import threading
from dataclasses import replace

import numpy as np
import pytest

import paddlevideo
from paddlevideo.export import ExportOptions, export_model, usable_formats
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.base import ENGINE_NAMES, DeclaredInput
from paddlevideo.runtime.engines.open_engine import ENGINES
from paddlevideo.utils.errors import BundleError
from runtime.conftest import PIPELINE, whole_sums

OPTIONS = EngineOptions(device="cpu", cpu_threads=1)


# What converts to TFLite is in another environment, and takes a minute (docs/tflite.md).
NAMES = [pytest.param(n, marks=pytest.mark.slow if n == "litert" else ()) for n in ENGINES]


@pytest.fixture(scope="module")
def in_tflite(tmp_path_factory):
    """A small stream as a TFLite file."""
    if "tflite" not in usable_formats("tflite"):
        pytest.skip("nothing here writes tflite")
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=4).eval()
    folder = tmp_path_factory.mktemp("contract")
    return export_model(model, PIPELINE, folder, "small", None, ExportOptions(formats=("tflite",)))


@pytest.fixture
def bundle(entry, request):
    return request.getfixturevalue("in_tflite" if entry[0] == "litert" else "small_stream")


@pytest.fixture
def feeds(bundle) -> dict[str, np.ndarray]:
    """Inputs of one step of two streams."""
    step, rng = bundle.manifest.step, np.random.default_rng(0)
    found = {}
    for spec in step.inputs:
        found[spec.name] = rng.integers(0, 256, (2, *spec.shape[1:])).astype(spec.dtype)
    for queue in step.queues:
        for name in queue.inputs:
            found[name] = np.zeros((2, *queue.shape[1:]), queue.dtype)
    return found


@pytest.fixture(params=NAMES)
def entry(request):
    if not ENGINES[request.param].is_installed():
        pytest.skip("its packages are not installed")
    return request.param, ENGINES[request.param].load()


@pytest.fixture
def engine(entry, bundle):
    return entry[1].open(bundle.step_files, OPTIONS)


def test_every_name_has_an_engine():
    assert {"auto", *ENGINES} == set(ENGINE_NAMES)


def test_what_it_says_of_itself(entry, engine, feeds):
    assert engine.name == entry[0]
    assert engine.max_batch_per_thread >= 1 and isinstance(engine.thread_safe, bool)
    assert set(engine.input_names) == set(feeds)
    for name, declared in engine.declared.items():
        assert isinstance(declared, DeclaredInput) and declared.fits(feeds[name])


def test_arrays_in_and_out_are_the_same_in_all(engine, bundle, feeds):
    expected = ENGINES["paddle"].load().open(bundle.step_files, OPTIONS).run(feeds)
    outputs = engine.run(feeds)
    assert tuple(outputs) == bundle.step_files.outputs
    for name, array in outputs.items():
        assert (array.shape, array.dtype) == (expected[name].shape, expected[name].dtype)
    expected = whole_sums(expected)
    for name, array in whole_sums(outputs).items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-5)


def test_tensors_are_kept_by_no_later_run(engine, feeds):
    """What one run gives stays as it is while others run, and can be an input of the next."""
    tensors = {name: engine.tensor(array) for name, array in feeds.items()}
    first = engine.run_tensors(tensors)
    before = {name: engine.array(tensor).copy() for name, tensor in first.items()}
    for _ in range(3):
        engine.run_tensors({name: engine.tensor(array + 1) for name, array in feeds.items()})
    for name, tensor in first.items():
        np.testing.assert_array_equal(engine.array(tensor), before[name])
    for array in feeds.values():
        np.testing.assert_array_equal(engine.array(engine.tensor(array)), array)


def test_an_array_outlives_its_tensor(engine, feeds):
    for array in feeds.values():
        expected = array.astype(array.dtype) + 1
        found = engine.array(engine.tensor(expected.copy()))
        others = [np.full_like(array, 7) for _ in range(8)]  # where a copy that is gone would lie
        np.testing.assert_array_equal(found, expected)
        assert len(others) == 8


def test_threads_where_it_allows_them(engine, feeds):
    if not engine.thread_safe:
        pytest.skip("one thread at a time")
    expected, found = engine.run(feeds), []
    threads = [threading.Thread(target=lambda: found.append(engine.run(feeds))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for outputs in found:
        for name, array in outputs.items():
            np.testing.assert_array_equal(array, expected[name])


def test_what_it_refuses(entry, bundle, feeds, tmp_path):
    name, kind = entry
    files, reads = bundle.step_files, ENGINES[name].format
    lost = {**files.files, reads: tuple(tmp_path / "lost" for _ in files.files[reads])}
    with pytest.raises(BundleError, match="lost is missing"):
        kind.open(replace(files, files=lost), OPTIONS)
    nothing = replace(files, files={k: v for k, v in files.files.items() if k != reads})
    with pytest.raises(BundleError, match=r"no (ONNX|TFLite) file|without a program of Paddle's"):
        kind.open(nothing, OPTIONS)
    with pytest.raises(BundleError, match="outputs where 1 are named"):
        kind.open(replace(files, outputs=("logits",)), OPTIONS)
    frame = next(iter(bundle.manifest.step.inputs)).name
    with pytest.raises(BundleError, match="cannot run on"):
        kind.open(files, OPTIONS).run({**feeds, frame: feeds[frame][..., :8]})
