"""Bundles of a causal model: step and clip program, each engine, and the runner of streams."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import paddle
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from modeling.conftest import randomise, relative_error

import paddlevideo
from paddlevideo.export import ExportOptions, export_clip_model, export_model
from paddlevideo.export.formats.onnx import export_onnx
from paddlevideo.export.verify import verify_bundle
from paddlevideo.runtime import read_bundle
from paddlevideo.runtime.engines import EngineOptions, OnnxRuntimeEngine, open_engine
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError, ConfigError, DataError, DeviceError
from paddlevideo.utils.packages import is_installed
from runtime.conftest import PIPELINE

BATCH, FRAMES = 2, 6
HAS_ONNX = all(map(is_installed, ("paddle2onnx", "onnx", "onnxruntime")))
ONNX = ("onnx",) if HAS_ONNX else ()
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="requirements-onnx.txt is not installed")
ENGINES = [
    pytest.param("paddle"),
    pytest.param("onnxruntime", marks=needs_onnx),
    pytest.param("compiled", marks=needs_onnx),
]


def options(engine="paddle", **more):
    return EngineOptions(device="cpu", cpu_threads=1, engine=engine, **more)


def frames(batch=BATCH, number=FRAMES, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, batch, 3, 32, 32), np.uint8)


@pytest.fixture(scope="module")
def model():
    return randomise(paddlevideo.create_model("movinet_t0_stream", num_classes=5)).eval()


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stream") / "bundle"
    labels = ["a", "b", "c", "d", "e"]
    made = ExportOptions(formats=ONNX, verify=True)
    return export_model(model, PIPELINE, folder, "Small", labels, made)


@pytest.fixture
def bundle_dir(exported, tmp_path) -> Path:
    return Path(shutil.copytree(exported.folder, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def eager(model):
    """Logits after each of the frames, [T, B, N]."""
    states, logits = model.init_states(BATCH, 32, 32), []
    with paddle.no_grad():
        for frame in frames():
            result, states = model.step(paddle.to_tensor(frame[:, None]), states)
            logits.append(result.numpy())
    return np.stack(logits)


@pytest.fixture(scope="module", params=ENGINES)
def runner(request, exported):
    return StepRunner(exported, options(request.param), BATCH)


def stepped(runner, video):
    return np.stack([runner.step(frame) for frame in video])


# --- what is written


def test_manifest(exported, model):
    manifest = yaml.safe_load((exported.folder / "inference.yml").read_text(encoding="utf-8"))
    clip, step = manifest["programs"]
    assert (clip["kind"], step["kind"]) == ("clip", "step")
    assert step["files"]["paddle"] == ["Small_step.json", "Small_step.pdiparams"]
    assert step["files"].get("onnx", ["Small_step.onnx"]) == ["Small_step.onnx"]
    frame = {"name": "frame", "shape": [-1, 3, 32, 32], "dtype": "uint8", "axes": "BCHW"}
    assert step["inputs"] == [frame] and step["outputs"][0]["name"] == "logits"
    assert step["frame_rate"] == 2.5 and "drop the oldest" in step["queue_rule"]
    for queue, spec in zip(step["queues"], model.step_program(32, 32).queues, strict=True):
        assert queue["name"] == spec.name and queue["dtype"] == spec.dtype
        assert queue["shape"] == [-1, *spec.shape] and len(queue["shape"]) <= 4
        assert queue["inputs"] == spec.input_names and len(spec.input_names) == queue["length"]
        assert queue["output"] == spec.output_name
    on_disk = {path.name for path in exported.folder.iterdir()}
    assert set(manifest["files"]) == on_disk - {"inference.yml"}
    assert len(on_disk) == (8 if HAS_ONNX else 6)


def test_the_rate_of_the_pipeline_comes_first(model, tmp_path):
    sample = {"name": "StridedSampler", "num_frames": 4, "stride": 4, "stride_fps": 30}
    bundle = export_model(model, {**PIPELINE, "sample": sample}, tmp_path / "b", "m")
    assert bundle.manifest.step.frame_rate == 7.5


def test_an_export_takes_the_stated_rate(model, tmp_path):
    made = ExportOptions(frame_rate=12.5)
    bundle = export_model(model, PIPELINE, tmp_path / "b", "m", None, made)
    assert bundle.manifest.step.frame_rate == 12.5
    made = ExportOptions(mode="clip", frame_rate=12.5)
    with pytest.raises(ConfigError, match="--frame_rate is that of a stream"):
        export_model(model, PIPELINE, tmp_path / "c", "m", None, made)
    made = ExportOptions(frame_rate=-1.0)
    with pytest.raises(ConfigError, match="--frame_rate -1: expected a number above 0"):
        export_model(model, PIPELINE, tmp_path / "c", "m", None, made)


def test_an_export_is_told_how_it_was_trained(model, tmp_path, caplog):
    sample = {"name": "StridedSampler", "num_frames": 4, "stride": 4, "stride_fps": 30}
    trained = {**PIPELINE, "sample": sample}
    bundle = export_model(model, PIPELINE, tmp_path / "b", "m", training=trained)
    assert bundle.manifest.step.frame_rate == 7.5
    assert "exported pipeline's UniformSampler has no frame rate" in caplog.text


def test_a_bundle_of_the_first_format_is_read(model, tmp_path):
    bundle = export_clip_model(model, PIPELINE, tmp_path / "b", "m")
    path = bundle.folder / "inference.yml"
    manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    (program,) = manifest.pop("programs")
    names = dict(zip(("program", "params"), program["files"]["paddle"], strict=True))
    tensors = {key: program[key] for key in ("inputs", "outputs")}
    old = {**manifest, **names, **tensors, "mode": "clip", "format_version": 1}
    path.write_text(yaml.safe_dump(old), encoding="utf-8")
    old = read_bundle(bundle.folder)
    assert old.clip_files == bundle.clip_files
    with pytest.raises(BundleError, match=r"clip program only.*--mode stream"):
        StepRunner(old, options())


@pytest.mark.parametrize("name", ["Small_step.json", "Small_step.pdiparams", "Small_step.onnx"])
def test_altered_step_files(bundle_dir, name):
    path = bundle_dir / name
    if not path.exists():
        pytest.skip("exported without ONNX")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match=f"{name} is not the file that was exported"):
        read_bundle(bundle_dir)
    path.unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        read_bundle(bundle_dir)


def test_a_fixed_batch(model, tmp_path):
    bundle = export_model(model, PIPELINE, tmp_path / "b", "m", None, ExportOptions(batch_size=2))
    assert bundle.manifest.inputs[0].shape[0] == bundle.manifest.step.inputs[0].shape[0] == 2
    assert stepped(StepRunner(bundle, options(), 2), frames(number=1)).shape == (1, 2, 5)
    with pytest.raises(BundleError, match=r"for 2 streams at a time, 3 are asked.*dynamic"):
        StepRunner(bundle, options(), 3)


def test_models_that_do_not_stream(tmp_path):
    base = paddlevideo.create_model("movinet_t0_base", num_classes=3)
    with pytest.raises(ConfigError, match="only a causal network runs frame by frame"):
        export_model(base, PIPELINE, tmp_path / "b", "m", None, ExportOptions(mode="stream"))
    assert not (tmp_path / "b").exists()


# --- it computes what the model does


def test_every_frame_of_a_stream(runner, eager):
    runner.reset()
    assert relative_error(stepped(runner, frames()), eager) < 1e-5
    assert runner.frame_shape == (3, 32, 32) and runner.num_classes == 5
    assert runner.labels == ["a", "b", "c", "d", "e"] and runner.frame_rate == 2.5


def test_results_are_not_overwritten(runner, eager):
    """What a step gave is the caller's, though engines use their memory again."""
    runner.reset()
    video = frames()
    kept = [runner.step(frame) for frame in video]
    copies = [logits.copy() for logits in kept]
    video[:] = 0
    runner.step(video[0])
    np.testing.assert_array_equal(kept, copies)


@given(first=st.integers(1, FRAMES - 1), rows=st.sets(st.integers(0, BATCH - 1), min_size=1))
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_rows_begin_anew(runner, eager, first, rows):
    """A stream that was reset gives what a new one would; the others go on."""
    runner.reset()
    stepped(runner, frames()[:first])
    runner.reset(rows=sorted(rows))
    rest = frames()[first:]
    found = stepped(runner, rest)
    runner.reset()
    anew = stepped(runner, rest)
    for row in range(BATCH):
        expected = anew[:, row] if row in rows else eager[first:, row]
        assert relative_error(found[:, row], expected) < 1e-5


def test_snapshot_and_restore(runner, eager):
    runner.reset()
    stepped(runner, frames()[:3])
    states = runner.snapshot()
    first = stepped(runner, frames()[3:])
    runner.restore(states)
    for array in states.values():
        array[...] = 0  # the runner has copies
    np.testing.assert_allclose(stepped(runner, frames()[3:]), first, rtol=0, atol=1e-6)
    assert relative_error(first, eager[3:]) < 1e-5


@needs_onnx
def test_states_of_one_engine_go_on_in_the_other(exported, eager):
    ours, theirs = (StepRunner(exported, options(e), BATCH) for e in ("paddle", "onnxruntime"))
    stepped(ours, frames()[:3])
    theirs.restore(ours.snapshot())
    assert relative_error(stepped(theirs, frames()[3:]), eager[3:]) < 1e-5


def test_bad_arguments_of_a_runner(runner):
    runner.reset()
    for wrong in (frames()[0, :1], frames()[0, :, :, :30], frames()[0].astype("float32")):
        with pytest.raises(DataError, match=r"a step takes frames \[2, 3, 32, 32\] uint8, got"):
            runner.step(wrong)
    with pytest.raises(DataError, match="no stream 2; they are 0 to 1"):
        runner.reset(rows=[0, 2])
    states = runner.snapshot()
    with pytest.raises(DataError, match="not this model's: extra"):
        runner.restore({**states, "extra": np.zeros(1)})
    name = next(iter(states))
    with pytest.raises(DataError, match=f"state {name} is .* expected .* int32"):
        runner.restore({**states, name: states[name][:1]})


# --- engines


@needs_onnx
def test_the_clip_program_in_both_engines(exported, eager):
    clip = np.ascontiguousarray(frames()[:4].swapaxes(0, 1))
    for engine in ("paddle", "onnxruntime"):
        logits = open_engine(exported.clip_files, options(engine)).run({"clip": clip})["logits"]
        assert relative_error(logits, eager[3]) < 1e-5


@needs_onnx
def test_which_engine_auto_is(exported, tmp_path, model, monkeypatch):
    auto = EngineOptions(device="cpu", cpu_threads=1)
    assert open_engine(exported.step_files, auto).name == "compiled"
    assert open_engine(exported.clip_files, auto).name in ("compiled", "onnxruntime")
    without = export_clip_model(model, PIPELINE, tmp_path / "b", "m")
    assert open_engine(without.clip_files, auto).name == "paddle"
    for engine in ("onnxruntime", "compiled"):
        with pytest.raises(BundleError, match=r"no ONNX file; export with --format paddle,onnx"):
            open_engine(without.clip_files, options(engine))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: find(n) if n == "paddle" else None)
    assert open_engine(exported.step_files, auto).name == "paddle"
    with pytest.raises(DeviceError, match=r"ONNX Runtime needs onnxruntime: pip install onnxrunt"):
        open_engine(exported.step_files, options("onnxruntime"))
    with pytest.raises(DeviceError, match=r"needs numba, onnx: pip .*movinet\[compiled\]"):
        open_engine(exported.step_files, options("compiled"))
    with pytest.raises(DeviceError, match=r"--format onnx needs .*paddlevideo-movinet\[onnx\]"):
        export_model(model, PIPELINE, tmp_path / "c", "m", None, ExportOptions(formats=("onnx",)))
    assert not (tmp_path / "c").exists()


@needs_onnx
def test_what_onnxruntime_cannot_do(exported, tmp_path):
    with pytest.raises(DeviceError, match="use_tensorrt is Paddle's"):
        open_engine(exported.step_files, options("onnxruntime", use_tensorrt=True))
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    with pytest.raises(
        BundleError, match=r"a.onnx(: ONNX Runtime refuses it| cannot be read as ONNX)"
    ):
        OnnxRuntimeEngine(tmp_path / "a.onnx", ["logits"], options())
    with pytest.raises(BundleError, match=r"b.onnx is missing"):
        OnnxRuntimeEngine(tmp_path / "b.onnx", ["logits"], options())
    engine = open_engine(exported.clip_files, options("onnxruntime"))
    with pytest.raises(BundleError, match=r"Small.onnx cannot run on clip \[1, 4, 3, 8, 8\]"):
        engine.run({"clip": np.zeros((1, 4, 3, 8, 8), np.uint8)})


@needs_onnx
def test_the_onnx_graph(exported):
    """Rank <= 4 at the border, the standard's operations only, biases in the convolutions."""
    import onnx

    graph = onnx.load(str(exported.step_files.onnx))
    assert [(entry.domain, entry.version) for entry in graph.opset_import] == [("", 17)]
    shapes = [
        value.type.tensor_type.shape.dim for value in (*graph.graph.input, *graph.graph.output)
    ]
    assert max(map(len, shapes)) == 4 and {shape[0].dim_param for shape in shapes} == {"batch"}
    kinds = {node.op_type for node in graph.graph.node}
    assert not kinds & {"Identity", "Shape", "BatchNormalization", "Pad", "Constant", "Transpose"}
    assert {len(node.input) for node in graph.graph.node if node.op_type == "Conv"} == {2, 3}


@needs_onnx
def test_a_program_that_cannot_be_converted(tmp_path):
    """The converter may end its process; ours goes on and nothing is left."""
    (tmp_path / "a.json").write_text('{"not": "a program"}')
    (tmp_path / "a.pdiparams").write_bytes(b"")
    with pytest.raises(BundleError, match=r"cannot convert a: .*--format paddle"):
        export_onnx(tmp_path / "a.json", tmp_path / "a.pdiparams", tmp_path / "a.onnx", ["logits"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.pdiparams"]


# --- the proof


def test_verify_finds_another_model(exported, model):
    found = verify_bundle(model, exported)
    assert len(found) >= (6 if HAS_ONNX else 3) and all(item.largest < 1e-5 for item in found)
    other = randomise(paddlevideo.create_model("movinet_t0_stream", num_classes=5), seed=3)
    with pytest.raises(BundleError, match=r"does not compute what the model does.*uneven steps"):
        verify_bundle(other.train(), exported)
    assert other.training


def test_what_fails_the_proof_is_not_written(model, tmp_path, monkeypatch):
    """A program that differs leaves the folder as it was; a new one is not there afterwards."""
    from paddlevideo.export import verify

    monkeypatch.setattr(verify, "TOLERANCE", 0.0)
    with pytest.raises(BundleError, match="does not compute"):
        export_model(model, PIPELINE, tmp_path / "a" / "b", "m", None, ExportOptions(verify=True))
    assert list(tmp_path.iterdir()) == []


# Every activation once as one and once as the other: names that engines fuse, and some crash on.
TURNS = [
    *(("leaky_relu", "mish"), ("mish", "leaky_relu"), ("keras_hard_sigmoid", "relu6")),
    *(("gelu", "tanh"), ("swish", "sigmoid"), ("relu6", "relu"), ("tanh", "hard_sigmoid")),
]


@pytest.mark.parametrize(
    "case",
    [
        {"name": "movinet_t0_stream", "activation": "leaky_relu", "gating_activation": "gelu"},
        {"name": "movinet_t0_base", "se_type": "2plus3d"},
        *(
            pytest.param(
                {"name": "movinet_t0_stream", "activation": act, "gating_activation": gate},
                marks=pytest.mark.slow,
            )
            for act, gate in TURNS
        ),
    ],
    ids=lambda case: "-".join(case.values()),
)
def test_options_in_every_engine(case, tmp_path):
    model = randomise(paddlevideo.create_model(num_classes=3, **case)).eval()
    bundle = export_model(model, PIPELINE, tmp_path / "b", "m", None, ExportOptions(formats=ONNX))
    assert all(item.largest < 1e-5 for item in verify_bundle(model, bundle))
