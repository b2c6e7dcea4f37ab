"""``PADDLEVIDEO_CHECK=1``: guards and comparisons find what compiled code does wrong."""

import numpy as np
import pytest

pytest.importorskip("numba")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("paddle2onnx")

from robustness.onnx_programs import RandomProgram, feeds_of, run_file, step_program  # noqa: E402

import paddlevideo  # noqa: E402
from paddlevideo.export import ExportOptions, export_model  # noqa: E402
from paddlevideo.runtime.engines import EngineOptions  # noqa: E402
from paddlevideo.runtime.engines.compiled.checked import CompiledCheckError  # noqa: E402
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine  # noqa: E402
from paddlevideo.runtime.engines.compiled.operations import Operation  # noqa: E402
from paddlevideo.runtime.engines.compiled.rounding_bound import rounding_bound  # noqa: E402
from paddlevideo.runtime.engines.compiled.table import Code  # noqa: E402
from paddlevideo.runtime.streams.step_runner import StepRunner  # noqa: E402
from paddlevideo.utils.errors import ConfigError  # noqa: E402
from runtime.conftest import PIPELINE  # noqa: E402

OPTIONS = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")


@pytest.fixture(autouse=True)
def checking(monkeypatch):
    monkeypatch.setenv("PADDLEVIDEO_CHECK", "1")


@pytest.fixture
def opened(tmp_path):
    """An engine of a program with all kinds of operations, and what to feed it."""
    model = step_program()
    path = tmp_path / "a.onnx"
    onnx.save(model, str(path))
    names = [item.name for item in model.graph.output]
    return CompiledEngine(path, names, OPTIONS), feeds_of(model, 0, 3)


def test_a_sound_engine_passes(opened):
    engine, feeds = opened
    checked = engine.run(feeds)
    engine._checked = None
    for name, plain in engine.run(feeds).items():
        np.testing.assert_array_equal(plain, checked[name])


@pytest.mark.parametrize("seed", range(30))
def test_random_programs(tmp_path, seed):
    path = tmp_path / "a.onnx"
    onnx.save(RandomProgram(seed).model(), str(path))
    run_file(path, "auto", seed, batch=1 + seed % 5)


@pytest.mark.parametrize("code", [Code.DENSE, Code.CONVOLUTION, Code.DEPTHWISE, Code.WEIGHTED_SUM])
def test_a_wrong_weight_is_found(opened, code):
    engine, feeds = opened
    rows = [row for row in engine._assembly.table if row["code"] == code]
    (weights,) = (
        array for array in engine._assembly.keep if array.ctypes.data == rows[-1]["weights"]
    )
    weights[0] += 1.0
    with pytest.raises(CompiledCheckError, match="differs by"):
        engine.run(feeds)


@pytest.mark.parametrize(
    ("code", "field", "more"),
    [
        (Code.WEIGHTED_SUM, "pixels", 8),
        (Code.DENSE, "pixels", 8),
        (Code.MEAN, "channels", 64),
        (Code.SCALE, "pixels", 8),
    ],
)
def test_what_is_written_beyond_a_map_is_found(opened, code, field, more):
    engine, feeds = opened
    row = next(row for row in engine._assembly.table if row["code"] == code)
    row[field] += more
    with pytest.raises(CompiledCheckError, match="wrote beyond its map"):
        engine.run(feeds)


def test_what_is_read_beyond_a_map_is_found(opened):
    engine, feeds = opened
    row = next(row for row in engine._assembly.table if row["code"] == Code.MEAN)
    row["pixels"] += 8
    with pytest.raises(CompiledCheckError, match="differs by inf"):
        engine.run(feeds)


def test_what_is_not_written_is_found(opened):
    engine, feeds = opened
    row = next(row for row in engine._assembly.table if row["code"] == Code.DENSE)
    row["pixels"] -= 1
    with pytest.raises(CompiledCheckError, match="differs by inf"):
        engine.run(feeds)


def test_a_whole_network(tmp_path):
    model = paddlevideo.create_model("movinet_a0_stream", num_classes=5)
    bundle = export_model(
        model, PIPELINE, tmp_path / "b", "A0", None, ExportOptions(mode="stream", formats=("onnx",))
    )
    runner = StepRunner(bundle, OPTIONS, batch_size=2)
    shape = (2, *runner.frame_shape)
    frames = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    logits = [runner.step(frame) for frame in frames]
    assert np.isfinite(logits).all()


def test_another_value_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLEVIDEO_CHECK", "yes")
    path = tmp_path / "a.onnx"
    onnx.save(step_program(), str(path))
    with pytest.raises(ConfigError, match="PADDLEVIDEO_CHECK is 'yes', expected 0 or 1"):
        CompiledEngine(path, ["y"] * len(step_program().graph.output), OPTIONS)


@pytest.mark.parametrize("cancels", [False, True])
@pytest.mark.parametrize("count", [2, 7, 30])
def test_what_rounding_may_make_of_a_sum(count, cancels):
    """Terms added in any order stay within the bound, which a hundredth of them is not."""
    rng = np.random.default_rng(count)
    terms = rng.standard_normal((count, 5)).astype(np.float32)
    if cancels:
        terms = np.concatenate([terms, -terms[rng.permutation(count)]])
    names = tuple(f"x{number}" for number in range(len(terms)))
    weights, bias = np.ones_like(terms), np.zeros(5, np.float32)
    operation = Operation("weighted_sum", names, "y", (5, 1, 1), weights, bias)
    maps = {name: row.reshape(1, 5, 1, 1) for name, row in zip(names, terms, strict=True)}
    bound = rounding_bound(operation, maps, {}, {})
    total = np.float32(0)
    for row in rng.permutation(terms):
        total = total + row
    apart = np.abs(total - terms.astype(np.float64).sum(axis=0))
    assert (apart <= bound[0, :, 0, 0]).all()
    assert (bound[0, :, 0, 0] < 0.01 * np.abs(terms).sum(axis=0)).all()
