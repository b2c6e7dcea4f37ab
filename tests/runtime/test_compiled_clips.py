"""Whole clips in the compiled engine: against ONNX Runtime, on threads, and what it refuses."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("paddle2onnx")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from modeling.conftest import randomise, relative_error  # noqa: E402
from robustness.clip_programs import RandomClip  # noqa: E402
from robustness.onnx_programs import feeds_of  # noqa: E402
from robustness.rounded_clips import RoundedClip  # noqa: E402
from video.conftest import write_video  # noqa: E402

import paddlevideo  # noqa: E402
from paddlevideo.export import ExportOptions, export_model  # noqa: E402
from paddlevideo.export.onnx_weights import store_as_half  # noqa: E402
from paddlevideo.export.quantization import (  # noqa: E402
    QuantizeOptions,
    quantize,
    quantize_bundle,
)
from paddlevideo.runtime import load_predictor  # noqa: E402
from paddlevideo.runtime.engines import EngineOptions, engines_of, open_engine  # noqa: E402
from paddlevideo.runtime.engines.compiled import clip_assembly, integer_choice  # noqa: E402
from paddlevideo.runtime.engines.compiled.checked import CompiledCheckError  # noqa: E402
from paddlevideo.runtime.engines.compiled.clip_graph import frames_as_rows  # noqa: E402
from paddlevideo.runtime.engines.compiled.clip_stages import clip_stages  # noqa: E402
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine, read_program  # noqa: E402
from paddlevideo.runtime.engines.compiled.graph import read_graph  # noqa: E402
from paddlevideo.runtime.proof import prove_bundle  # noqa: E402
from paddlevideo.utils.errors import BundleError  # noqa: E402
from runtime.conftest import PIPELINE, clips  # noqa: E402


def options(threads=1):
    return EngineOptions(device="cpu", cpu_threads=threads, engine="compiled")


def expected_of(path, feeds):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def exact_of(model, feeds, names):
    """Each node as it stands: rewriting leaves out roundings that follow each other."""
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), settings).run(names, feeds)


def saved(path, model):
    onnx.save(model, str(path))
    return path


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**20), batch=st.integers(1, 3))
def test_random_clips_on_any_number_of_threads(tmp_path_factory, seed, batch):
    """Kernels over time of every length, stride and padding; gates of all frames and of the past.

    More threads than cores: each has few frames, and sees those of its neighbours.
    """
    model = RandomClip(seed).model()
    path = saved(tmp_path_factory.mktemp("clip") / "a.onnx", model)
    feeds = feeds_of(model, seed, batch)
    expected = expected_of(path, feeds)
    alone = CompiledEngine(path, ["logits"], options()).run(feeds)["logits"]
    assert np.abs(alone - expected).max() <= 1e-6 + 3e-5 * np.abs(expected).max()
    shared = CompiledEngine(path, ["logits"], options(3)).run(feeds)["logits"]
    np.testing.assert_array_equal(shared, alone)


@pytest.mark.parametrize("seed", range(6))
def test_operations_of_a_clip_one_by_one(tmp_path, monkeypatch, seed):
    """With guards round every map, each held against NumPy."""
    monkeypatch.setenv("PADDLEVIDEO_CHECK", "1")
    model = RandomClip(seed).model()
    path = saved(tmp_path / "a.onnx", model)
    feeds = feeds_of(model, seed, 2)
    checked = CompiledEngine(path, ["logits"], options()).run(feeds)["logits"]
    expected = expected_of(path, feeds)
    assert np.abs(checked - expected).max() <= 1e-6 + 3e-5 * np.abs(expected).max()


# --- on 8 bits


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20), batch=st.integers(1, 2))
def test_random_clips_on_8_bits(tmp_path_factory, seed, batch):
    """Kernels over time of integers, tables and gates, between floats and bytes of all kinds."""
    model = RoundedClip(seed).model()
    path = saved(tmp_path_factory.mktemp("clip") / "a.onnx", model)
    feeds = feeds_of(model, seed, batch)
    (expected,) = exact_of(model, feeds, None)
    alone = CompiledEngine(path, ["logits"], options()).run(feeds)["logits"]
    assert np.abs(alone - expected).max() <= 0.01 * np.abs(expected).max()
    shared = CompiledEngine(path, ["logits"], options(3)).run(feeds)["logits"]
    np.testing.assert_array_equal(shared, alone)


@pytest.mark.parametrize("seed", range(6))
def test_maps_on_8_bits_one_by_one(tmp_path, monkeypatch, seed):
    """Each is ONNX Runtime's but for halves that fall on the other side, and what they lead to."""
    monkeypatch.setenv("PADDLEVIDEO_CHECK", "1")
    clip = RoundedClip(seed, share=1.0)
    model = clip.model()
    engine = CompiledEngine(saved(tmp_path / "a.onnx", model), ["logits"], options())
    assert engine.arithmetic == "8-bit integers"
    feeds = feeds_of(model, seed, 1)
    engine.run(feeds)
    checked = engine._checked
    maps = checked._by_streams[1]
    there = [name for name in clip.rounded if name in checked._assembly.slots]
    found = {name: checked._map(name, maps) for name in there}
    for name in there:
        info = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, None)
        model.graph.output.append(info)
    for name, expected in zip(there, exact_of(model, feeds, there), strict=True):
        assert expected.size == 1 or len(np.unique(expected)) > 1, name
        apart = np.abs(found[name].astype(int) - expected.astype(int))
        assert apart.max() <= 1 and (apart > 0).mean() <= 0.01, name


@pytest.mark.parametrize("kind", [RandomClip, RoundedClip])
def test_frames_that_are_not_there_yet_are_seen(tmp_path, monkeypatch, kind):
    """The guarded run knows if a kernel over time comes before the frames that it reads."""
    monkeypatch.setenv("PADDLEVIDEO_CHECK", "1")
    model = moving_clip(kind, num_frames=11)
    path = saved(tmp_path / "a.onnx", model)
    feeds = feeds_of(model, 0, 1)
    CompiledEngine(path, ["logits"], options()).run(feeds)

    def in_a_hurry(*given):
        return [replace(stage, before=0, after=0) for stage in clip_stages(*given)]

    monkeypatch.setattr(clip_assembly, "clip_stages", in_a_hurry)
    engine = CompiledEngine(path, ["logits"], options())
    with pytest.raises(CompiledCheckError, match=r"the stages of a clip: .* differs"):
        engine.run(feeds)


@pytest.fixture(scope="module")
def small_base(tmp_path_factory):
    """A small network that sees frames before and after each, as ONNX files."""
    model = randomise(paddlevideo.create_model("movinet_t0_base", num_classes=5)).eval()
    folder = tmp_path_factory.mktemp("small_base")
    return export_model(model, PIPELINE, folder, "m", None, ExportOptions(formats=("onnx",)))


@pytest.fixture(scope="module")
def calibration(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibration")
    return [write_video(folder / f"{number}.mp4", 12) for number in range(2)]


def quantised(bundle, calibration, folder, **given):
    """On 8 bits, without asking which layer does what damage."""
    options = QuantizeOptions(num_videos=2, search_videos=1, max_error=10.0, **given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize, "damage_of_each", lambda _judge, layers, _build: {})
        return quantize_bundle(bundle, calibration, folder / "int8", options).bundle


@pytest.fixture(scope="module")
def small_base_int8(small_base, calibration, tmp_path_factory):
    return quantised(small_base, calibration, tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def small_causal_int8(small_stream, calibration, tmp_path_factory):
    """The clip program of a causal network, without its step program."""
    manifest = replace(small_stream.manifest, programs=(small_stream.manifest.clip,))
    whole = replace(small_stream, manifest=manifest)
    return quantised(whole, calibration, tmp_path_factory.mktemp("causal"))


@pytest.mark.parametrize("name", ["small_base_int8", "small_causal_int8"])
def test_a_quantised_network_of_each_kind(request, name, video):
    """Its maps stay on 8 bits; `auto` and `predict` take the compiled engine; proof holds."""
    bundle = request.getfixturevalue(name)
    operations = read_program(bundle.clip_files.onnx).operations
    kinds = {operation.kind for operation in operations if operation.shape[1:] != (1, 1)}
    assert {"integer_convolution", "integer_dense", "integer_temporal", "scale_bytes"} <= kinds
    assert not {"depthwise", "temporal", "quantize", "scale", "dense", "average"} & kinds
    engine = open_engine(bundle.clip_files, EngineOptions(device="cpu", cpu_threads=2))
    assert (engine.name, engine.arithmetic) == ("compiled", "8-bit integers")
    prove_bundle(bundle)
    results = [
        load_predictor(bundle.folder, device="cpu", engine=engine)(video)
        for engine in ("auto", "compiled", "onnxruntime")
    ]
    scores = [[item.score for item in sorted(each.top, key=lambda t: t.index)] for each in results]
    np.testing.assert_allclose(scores[1], scores[2], atol=5e-3)
    np.testing.assert_array_equal(scores[0], scores[1])


def test_a_quantised_clip_in_floats(small_base_int8, monkeypatch):
    """Where bytes are not faster: the same roundings, the same answer."""
    monkeypatch.setattr(integer_choice, "integers_are_faster", lambda _run: False)
    feeds = {small_base_int8.manifest.inputs[0].name: clips(2)}
    engine = open_engine(small_base_int8.clip_files, options(2))
    assert engine.arithmetic == "float32"
    (found,) = engine.run(feeds).values()
    expected = expected_of(small_base_int8.clip_files.onnx, feeds)
    assert np.abs(found - expected).max() <= 5e-3 * np.ptp(expected)


@pytest.mark.parametrize("stored", ["weights", "float16"])
def test_clips_of_small_weights_run_compiled(small_base, calibration, tmp_path, stored):
    """`--weights_only`, and float16: products of floats."""
    if stored == "weights":
        path = quantised(small_base, calibration, tmp_path, weights_only=True).clip_files.onnx
    else:
        path = Path(shutil.copy(small_base.clip_files.onnx, tmp_path / "half.onnx"))
        store_as_half(path)
    engine = CompiledEngine(path, ["logits"], options())
    feeds = {small_base.manifest.inputs[0].name: clips(1)}
    assert relative_error(engine.run(feeds)["logits"], expected_of(path, feeds)) < 1e-5


@pytest.fixture(scope="module", params=["small_base", "small_stream"])
def bundle(request):
    """A base model, and a causal one."""
    return request.getfixturevalue(request.param)


def test_a_network_of_each_kind(bundle):
    """`auto` takes the compiled engine, and it gives what ONNX Runtime gives, for any batch."""
    assert engines_of(bundle.clip_files)[-1] == "compiled"
    engine = open_engine(bundle.clip_files, EngineOptions(device="cpu", cpu_threads=2))
    assert engine.name == "compiled"
    feeds = {bundle.manifest.inputs[0].name: clips(3)}
    (logits,) = engine.run(feeds).values()
    expected = expected_of(bundle.clip_files.onnx, feeds)
    assert relative_error(logits, expected) < 1e-5
    for row in range(3):
        (alone,) = engine.run({name: clip[row : row + 1] for name, clip in feeds.items()}).values()
        np.testing.assert_array_equal(alone[0], logits[row])


def test_a_video(bundle, video):
    """`predict --engine compiled`, whose answer is that of another engine."""
    results = [
        load_predictor(bundle.folder, device="cpu", cpu_threads=2, engine=engine)(video)
        for engine in ("compiled", "onnxruntime")
    ]
    scores = [[item.score for item in sorted(each.top, key=lambda t: t.index)] for each in results]
    np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-6)


def test_callers_share_an_engine(bundle):
    engine = open_engine(bundle.clip_files, options(2))
    (name,) = engine.input_names
    expected = [engine.run({name: clips(1, seed)}) for seed in range(4)]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            found = threads.map(lambda seed: engine.run({name: clips(1, seed)}), range(4))
            for one, two in zip(found, expected, strict=True):
                np.testing.assert_array_equal(*(next(iter(each.values())) for each in (one, two)))


def test_clips_of_another_form_are_refused(bundle):
    engine = open_engine(bundle.clip_files, options())
    (name,) = engine.input_names
    for clip in (clips(1)[:, :3], clips(1).astype(np.float32), clips(1)[..., :8], clips(0)):
        with pytest.raises(BundleError, match="cannot run"):
            engine.run({name: clip})


def test_the_stages_of_a_network(bundle):
    """At most one stage of frames between two points at which the whole clip has to be there."""
    program = read_program(bundle.clip_files.onnx)
    stages = clip_stages(program.operations, program.frames_of)
    gates = sum(operation.kind == "mix" for operation in program.operations)
    # Maps of one pixel need none of their own.
    assert gates // 2 < sum(stage.of_frames for stage in stages) <= gates
    done = set(program.inputs) | set(program.constants)
    for stage in stages:
        for operation in stage.operations:
            assert set(operation.read) <= done
            done |= set(operation.made)


# --- what it refuses


def changed(model, kind, change, number=0):
    """The model with one node of a kind changed."""
    nodes = [node for node in model.graph.node if node.op_type == kind]
    change(nodes[number])
    return model


def constant(model, name, value):
    """Another constant in the place of one."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(value), name))


def moving_clip(kind=RandomClip, num_frames=4):
    """A clip program in which frames move and are mixed."""
    for seed in range(100):
        model = kind(seed, num_frames=num_frames).model()
        kinds = {node.op_type for node in model.graph.node}
        if {"Slice", "Expand", "MatMul", "Concat"} <= kinds:
            return model
    raise AssertionError("none")


def _other_order(model):
    """The frames that are kept come from elsewhere than the zeros let them."""
    kept = [node for node in model.graph.node if node.op_type == "Slice"][1]
    lengths = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    first, last = (int(lengths[name][0]) for name in kept.input[1:3])
    move = 1 if first == 0 else -1
    constant(model, kept.input[1], [first + move])
    constant(model, kept.input[2], [last + move])


REFUSALS = {
    "frames of a clip in another order": _other_order,
    "Expand but to zero frames": lambda model: changed(
        model, "Expand", lambda node: constant(model, node.input[0], np.ones(1, np.float32))
    ),
    "a slice but of frames": lambda model: changed(
        model, "Slice", lambda node: constant(model, node.input[3], [2])
    ),
    "a clip that is not taken apart into frames": lambda model: changed(
        model, "Reshape", lambda node: constant(model, node.input[1], [-1, 12, 1, 1])
    ),
    "frames beside something else|of the frames of a clip": lambda model: changed(
        model, "MatMul", lambda node: setattr(node, "op_type", "Sub")
    ),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_frames_that_meet_otherwise_are_refused(tmp_path, message):
    model = moving_clip()
    REFUSALS[message](model)
    path = saved(tmp_path / "a.onnx", model)
    with pytest.raises(BundleError, match=f"cannot run .*({message}).*--engine onnxruntime"):
        CompiledEngine(path, ["logits"], options())


def test_contradictions_are_damage(tmp_path):
    model = moving_clip()
    (node,) = [node for node in model.graph.node if node.op_type == "MatMul"][-1:]
    constant(model, node.input[0], np.ones((1, 5), np.float32))
    path = saved(tmp_path / "a.onnx", model)
    with pytest.raises(BundleError, match=r"cannot be read as ONNX: \[1, 5\] times 4 frames"):
        CompiledEngine(path, ["logits"], options())


def test_a_clip_that_is_too_large_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.onnx", moving_clip())
    monkeypatch.setenv("PADDLEVIDEO_LIMITS", "map_bytes=20000")
    with pytest.raises(BundleError, match="map_bytes"):
        CompiledEngine(path, ["logits"], options())


def test_a_step_program_is_left_as_it_is(small_stream):
    graph = read_graph(small_stream.step_files.onnx)
    assert frames_as_rows(graph) is graph
