"""Products of bfloat16: against NumPy, on threads and clips, and where they are refused."""

import json
import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("paddle2onnx")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from robustness.clip_programs import RandomClip  # noqa: E402
from robustness.onnx_programs import RandomProgram, feeds_of, step_program  # noqa: E402
from robustness.rounded_programs import RoundedProgram  # noqa: E402
from robustness.shared_streams import everything_shared  # noqa: E402

from paddlevideo.cli.main import main  # noqa: E402
from paddlevideo.runtime import load_predictor  # noqa: E402
from paddlevideo.runtime.engines import EngineOptions, open_engine  # noqa: E402
from paddlevideo.runtime.engines.base import ProgramFiles, UnsupportedProgramError  # noqa: E402
from paddlevideo.runtime.engines.compiled import bfloat_choice  # noqa: E402
from paddlevideo.runtime.engines.compiled.assembly import assemble  # noqa: E402
from paddlevideo.runtime.engines.compiled.bfloat16 import (  # noqa: E402
    pairs_of,
    rounded,
    upper_halves,
    with_bfloat16,
)
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine, read_program  # noqa: E402
from paddlevideo.runtime.engines.compiled.host import host  # noqa: E402
from paddlevideo.runtime.engines.compiled.processor import processor_of  # noqa: E402
from paddlevideo.runtime.engines.open_engine import ENGINES  # noqa: E402
from paddlevideo.runtime.streams.step_runner import StepRunner  # noqa: E402
from paddlevideo.utils.errors import ConfigError, DeviceError  # noqa: E402
from runtime.test_compiled_engine import CHANNELS, FLOAT, floats, node, save  # noqa: E402

needs_bfloat16 = pytest.mark.skipif(
    not host().bfloat16, reason="the processor has no products of bfloat16 (AVX512-BF16)"
)
CPU = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")
BFLOAT16 = replace(CPU, products="bfloat16")
_ROUNDOFF = 2.0**-8  # of bfloat16: 8 significant bits, rounded to the nearest
_OF_FLOAT32 = 2.0**-24


def saved(path, model):
    onnx.save(model, str(path))
    return path, [item.name for item in model.graph.output]


def test_which_processors_have_it():
    """By the names of features alone; 512 bits at a time need what LLVM builds it on."""
    wide = {"avx", "avx2", "avx512f", "avx512bw", "avx512bf16"}
    assert processor_of("x86", wide).bfloat16
    for missing in wide:
        assert not processor_of("x86", wide - {missing}).bfloat16
    assert not processor_of("arm", {"neon", "bf16", "i8mm"}).bfloat16


def test_numbers_are_rounded_to_the_nearest():
    """Halves to even; what is none stays so; what overflows shows."""
    given = [1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -3.14159, 3.4e38, np.inf, -np.inf]
    expected = [1.0, 1.0, 1 + 2**-6, 1 + 2**-7, -3.140625, np.inf, np.inf, -np.inf]
    np.testing.assert_array_equal(rounded(np.float32(given)), np.float32(expected))
    assert np.isnan(rounded(np.float32([np.nan]))).all()
    assert np.isnan(rounded(np.uint32([0x7F800001, 0xFFFFFFFF]).view(np.float32))).all()
    x = floats(np.random.default_rng(0), 1000)
    assert (np.abs(rounded(x) - x) <= _ROUNDOFF * np.abs(x)).all()
    np.testing.assert_array_equal(rounded(rounded(x)), rounded(x))


def test_pairs_of_weights():
    """Two steps of the depth side by side, the first in the lower half, and a zero at the end."""
    weights = floats(np.random.default_rng(0), 5, 3)
    pairs = np.ascontiguousarray(pairs_of(weights)).view(np.uint16).reshape(3, 3, 2)
    halves = np.zeros((6, 3), np.uint16)
    halves[:5] = upper_halves(weights)
    np.testing.assert_array_equal(pairs, halves.reshape(3, 2, 3).transpose(0, 2, 1))


@needs_bfloat16
def test_the_processor_rounds_alike():
    from paddlevideo.runtime.engines.compiled.bfloat_products import round_rows

    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, (100, 64), np.uint32)
    bits[0, :8] = 0, 1 << 31, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 1, 0x807FFFFF, 0x00800000
    found = np.zeros((100, 64), np.uint16)
    round_rows(bits.ctypes.data, 256, 100, 64, 0, found.ctypes.data)
    np.testing.assert_array_equal(found, upper_halves(bits.view(np.float32)))


@needs_bfloat16
@settings(max_examples=30, deadline=None)
@given(
    inner=CHANNELS,
    outer=CHANNELS,
    side=st.sampled_from([1, 2, 5, 9, 30]),
    batch=st.integers(1, 5),
    gated=st.booleans(),
    shortcut=st.booleans(),
    seed=st.integers(0, 99),
)
def test_products(tmp_path_factory, inner, outer, side, batch, gated, shortcut, seed):
    """Sums of rounded numbers, to the error of float32; within bfloat16's bound of exact ones.

    With u the unit roundoff, a product of two rounded numbers is off by (2 u + u**2) of itself at
    most, so a sum of products by as much of the sum of their absolute values.
    """
    rng = np.random.default_rng(seed)
    constants = {"w": floats(rng, outer, inner, 1, 1), "b": floats(rng, outer)}
    shapes = {"x": ((inner, side, side), FLOAT)}
    feeds = {"x": floats(rng, batch, inner, side, side)}
    nodes, last, x = [], "x", feeds["x"]
    if gated:
        shapes["g"], feeds["g"] = ((inner, 1, 1), FLOAT), floats(rng, batch, inner, 1, 1)
        nodes, last, x = [node("Mul", ["x", "g"], "xg")], "xg", x * feeds["g"]
    nodes.append(node("Conv", [last, "w", "b"], "c", kernel_shape=[1, 1]))
    last, added = "c", constants["b"][:, None, None].astype(float)
    amount = np.abs(added)
    if shortcut:
        shapes["s"] = (outer, side, side), FLOAT
        feeds["s"] = floats(rng, batch, outer, side, side)
        nodes.append(node("Add", ["s", "c"], "y"))
        last, added, amount = "y", added + feeds["s"], amount + np.abs(feeds["s"])
    path = tmp_path_factory.mktemp("dense") / "a.onnx"
    save(path, nodes, shapes, {last: ((outer, side, side), FLOAT)}, constants)
    engine = CompiledEngine(path, [last], BFLOAT16)
    assert engine.arithmetic == "bfloat16"
    found = engine.run(feeds)[last]
    weights = constants["w"][:, :, 0, 0]

    def product(a, b):
        return np.einsum("bchw,dc->bdhw", a.astype(float), b.astype(float))

    size = product(np.abs(x), np.abs(weights))
    # Each of its additions rounds what has come together so far.
    of_sums = 1.1 * (inner + 2) * _OF_FLOAT32 * (1.01 * size + amount)
    error = np.abs(found - (product(rounded(x), rounded(weights)) + added))
    assert (error <= of_sums).all()
    error = np.abs(found - (product(x, weights) + added))
    assert (error <= (2 * _ROUNDOFF + _ROUNDOFF**2) * size + of_sums).all()
    alone = engine.run({name: value[-1:] for name, value in feeds.items()})[last]
    np.testing.assert_array_equal(alone[0], found[-1])


@needs_bfloat16
@pytest.mark.parametrize("seed", range(40))
def test_random_programs_compute_what_numpy_does(tmp_path, monkeypatch, seed):
    """Each operation, its operands rounded so, between guards: PADDLEVIDEO_CHECK=1."""
    monkeypatch.setenv("PADDLEVIDEO_CHECK", "1")
    path, names = saved(tmp_path / "a.onnx", RandomProgram(seed).model())
    try:
        with everything_shared():
            engine = CompiledEngine(path, names, replace(BFLOAT16, cpu_threads=1 + seed % 3))
    except UnsupportedProgramError:
        return
    except ConfigError as error:
        assert "has none" in str(error)
        return
    engine.run(feeds_of(onnx.load(str(path)), seed, 1 + seed % 3))


@needs_bfloat16
@pytest.mark.parametrize("seed", range(12))
def test_random_clips(tmp_path, monkeypatch, seed):
    """Checked as above; and in stages, on one thread and on three, the same bits as checked."""
    model = RandomClip(seed).model()
    path, _ = saved(tmp_path / "a.onnx", model)
    names, feeds = ["logits"], feeds_of(model, seed, 2)
    alone = CompiledEngine(path, names, BFLOAT16).run(feeds)["logits"]
    shared = CompiledEngine(path, names, replace(BFLOAT16, cpu_threads=3)).run(feeds)["logits"]
    np.testing.assert_array_equal(shared, alone)
    monkeypatch.setenv("PADDLEVIDEO_CHECK", "1")
    checked = CompiledEngine(path, names, BFLOAT16).run(feeds)["logits"]
    np.testing.assert_array_equal(checked, alone)


@needs_bfloat16
def test_threads_share_a_stream(tmp_path):
    path, names = saved(tmp_path / "a.onnx", step_program())
    feeds = feeds_of(step_program(), 0, 1)
    expected = CompiledEngine(path, names, BFLOAT16).run(feeds)
    with everything_shared():
        engine = CompiledEngine(path, names, replace(BFLOAT16, cpu_threads=3))
    for name, values in engine.run(feeds).items():
        np.testing.assert_array_equal(values, expected[name])


@needs_bfloat16
def test_float32_is_untouched_and_the_difference_is_said(small_stream, caplog):
    """An engine of each kind in one process; streams of both, the states carried."""
    caplog.set_level(logging.INFO)
    files = small_stream.step_files
    before, plain = (StepRunner(small_stream, CPU) for _ in range(2))
    changed = StepRunner(small_stream, BFLOAT16)
    after = StepRunner(small_stream, replace(CPU, products="float32"))
    frames = np.random.default_rng(0).integers(0, 256, (6, 1, *plain.frame_shape), np.uint8)
    logits = [[runner.step(frame) for frame in frames] for runner in (before, changed, after)]
    for one, other, last in zip(*logits, strict=True):
        np.testing.assert_array_equal(one, last)
        assert 0 < np.abs(other - one).max() < 0.05 * np.ptp(one)
    assert open_engine(files, CPU).arithmetic == "float32"
    said = [
        item.message for item in caplog.records if "matrix products in bfloat16" in item.message
    ]
    assert (
        len(said) == 1 and "of their spread at most" in said[0] and "4 frames of noise" in said[0]
    )


@needs_bfloat16
def test_weights_take_half_the_memory(small_stream):
    def kept(options):
        files = small_stream.step_files
        engine = CompiledEngine(files.onnx, files.outputs, options)
        table = engine._assembly.table
        rows = [row for row in table if row["code"] == 0 and row["gate"] < 0]
        return (
            sum(engine._assembly.later[:, 2]),
            len(rows),
            sum(row["products"] > 0 for row in rows),
        )

    (whole, dense, _), (half, _, changed) = kept(CPU), kept(BFLOAT16)
    assert changed == dense and half < 0.7 * whole


@pytest.mark.parametrize("engine", ["onnxruntime", "paddle", "litert"])
def test_another_engine_is_refused(engine):
    with pytest.raises(ConfigError, match=r"products bfloat16 has no effect here.*compiled"):
        EngineOptions(engine=engine, products="bfloat16")


def test_unknown_products_are_refused():
    with pytest.raises(ConfigError, match=r"products='bf16'.*known: bfloat16, float32"):
        EngineOptions(products="bf16")


def test_auto_takes_no_other_engine(small_stream, monkeypatch):
    broken = replace(ENGINES["compiled"], refusal=lambda: "not here")
    monkeypatch.setitem(ENGINES, "compiled", broken)
    with pytest.raises(ConfigError, match=r"no effect here.*ONNX Runtime runs the program"):
        open_engine(small_stream.step_files, replace(BFLOAT16, engine="auto"))


def test_a_processor_without_it_is_refused(small_stream, monkeypatch):
    without = replace(host(), bfloat16=False)
    monkeypatch.setattr(bfloat_choice, "host", lambda: without)
    with pytest.raises(DeviceError, match=r"processors with AVX512-BF16.*leave --products out"):
        open_engine(small_stream.step_files, BFLOAT16)


def test_a_bundle_on_8_bits_is_refused(tmp_path):
    path, names = saved(tmp_path / "a.onnx", RoundedProgram(3).model())
    with pytest.raises(ConfigError, match=r"float bundles, and .*a.onnx computes on 8 bits"):
        open_engine(ProgramFiles({"onnx": (path,)}, tuple(names)), BFLOAT16)


@needs_bfloat16
def test_a_program_without_products_is_refused(tmp_path):
    nodes = [node("Relu", ["x"], "y")]
    path = tmp_path / "a.onnx"
    save(path, nodes, {"x": ((8, 3, 3), FLOAT)}, {"y": ((8, 3, 3), FLOAT)}, {})
    with pytest.raises(ConfigError, match=r"matrix products, and .*a.onnx has none"):
        CompiledEngine(path, ["y"], BFLOAT16)


@needs_bfloat16
def test_from_the_command_line(small_stream, video, tmp_path, capsys):
    """The scores of `predict` and `stream` are those of the same option from Python."""
    bundle, file = str(small_stream.folder), str(video)
    scores = {}
    for products in ("float32", "bfloat16"):
        output = tmp_path / f"{products}.jsonl"
        main(["predict", file, "--bundle", bundle, "--engine", "compiled", "--cpu_threads", "1",
              "--products", products, "--output", str(output)])  # fmt: skip
        (line,) = [json.loads(line) for line in output.read_text().splitlines()[-1:]]
        predictor = load_predictor(
            small_stream.folder, "cpu", 1, engine="compiled", products=products
        )
        scores[products] = predictor(video, top_k=1).score
        assert line["predictions"][0]["score"] == pytest.approx(scores[products], rel=1e-9)
    assert scores["float32"] != scores["bfloat16"]
    capsys.readouterr()
    main(["stream", file, "--bundle", bundle, "--products", "bfloat16", "--max_seconds", "0.2"])
    assert '"score"' in capsys.readouterr().out
    main(["warm-up", bundle, "--products", "bfloat16"])
    assert capsys.readouterr().out.count(" MB\n") == 2
    with pytest.raises(SystemExit) as ended:
        main(["predict", file, "--bundle", bundle, "--products", "bfloat16",
              "--engine", "onnxruntime"])  # fmt: skip
    assert ended.value.code == 1
    assert "--products bfloat16 has no effect here" in capsys.readouterr().err


@needs_bfloat16
def test_comparing_shows_both(small_stream, video, tmp_path, capsys):
    listed = tmp_path / "val.list"
    listed.write_text(f"{shutil.copy(video, tmp_path / 'a.mp4')} 1\n")
    main(["compare", "--model_dir", str(small_stream.folder), "-i", str(listed), "--repeats", "2",
          "--products", "bfloat16", "--output", str(tmp_path / "r.json")])  # fmt: skip
    found = json.loads((tmp_path / "r.json").read_text())["bundles"]
    assert [item["products"] for item in found] == ["float32", "bfloat16"]
    assert ", bfloat16" in capsys.readouterr().out


def test_serving_takes_it(small_stream, monkeypatch):
    pytest.importorskip("fastapi")
    from paddlevideo.apps.serve import service

    class TakenError(Exception):
        pass

    def take(_bundle, options, *_more):
        raise TakenError(options.products)

    monkeypatch.setattr(service, "Service", take)
    with pytest.raises(TakenError, match="bfloat16"):
        main(["serve", str(small_stream.folder), "--products", "bfloat16"])


def test_names_are_those_of_the_engines():
    from paddlevideo.cli.prediction_options import PRODUCTS
    from paddlevideo.runtime.engines import base

    assert base.PRODUCTS == PRODUCTS


def test_products_are_not_laid_out_for_another_function(tmp_path):
    """Else pairs would be multiplied as if they were floats."""
    path, _ = saved(tmp_path / "a.onnx", step_program())
    program = with_bfloat16(read_program(path))
    with pytest.raises(ValueError, match="products of bfloat16 without their function"):
        assemble(program)
