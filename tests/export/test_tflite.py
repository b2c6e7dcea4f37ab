"""``--format tflite``: what is asked of the converter's environment, and what comes of it.

With an environment of requirements-tflite.txt (docs/tflite.md):
PADDLEVIDEO_TFLITE_PYTHON=tflite-env/bin/python python -m pytest tests/export/test_tflite.py -m slow
"""

import re
from pathlib import Path

import numpy as np
import pytest
from modeling.conftest import randomise
from paddle import nn
from runtime.conftest import PIPELINE

import paddlevideo
from export.test_quantization import write_noise
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.export.exporter import exporter
from paddlevideo.export.formats import tflite
from paddlevideo.export.onnx_activations import without_hard_sigmoid
from paddlevideo.export.quantization import QuantizeOptions, quantize_bundle
from paddlevideo.export.quantization.write_quantized import check_formats
from paddlevideo.export.tflite_script import SIGNATURE
from paddlevideo.export.traced_program import TracedProgram
from paddlevideo.runtime import proof, read_bundle
from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.manifest import ClipProgram, TensorSpec
from paddlevideo.runtime.reference import read_reference
from paddlevideo.utils.errors import BundleError, ConfigError, DeviceError
from paddlevideo.utils.packages import is_installed

ROOT = Path(__file__).resolve().parents[2]
NUM_FRAMES = 12

pytestmark = pytest.mark.skipif(
    not is_installed("paddle2onnx"), reason="the extra onnx is not installed"
)


@pytest.fixture
def python(tmp_path, monkeypatch):
    """A function that puts a shell script in the place of the converter's Python."""

    def put(text: str, version: str = tflite.CONVERTER_VERSION) -> Path:
        path = tmp_path / "python"
        path.write_text(f'#!/bin/sh\n[ "$1" = -c ] && echo {version} && exit 0\n{text}\n')
        path.chmod(0o755)
        monkeypatch.setenv(tflite.PYTHON_VARIABLE, str(path))
        return path

    return put


def small_stream(num_frames: int = 4):
    sample = {"name": "UniformSampler", "num_frames": num_frames}
    model = randomise(paddlevideo.create_model("movinet_t0_stream", num_classes=4)).eval()
    return model, {**PIPELINE, "sample": sample}


def test_without_an_environment(tmp_path, model, monkeypatch):
    """One message with the commands, and nothing is written."""
    monkeypatch.delenv(tflite.PYTHON_VARIABLE, raising=False)
    monkeypatch.setattr(tflite, "is_installed", lambda name: False)
    with pytest.raises(DeviceError, match="environment of its own") as error:
        export_model(model, PIPELINE, tmp_path / "b", "m", None, ExportOptions(formats=("tflite",)))
    for part in ("-m venv tflite-env", "-r requirements-tflite.txt", tflite.PYTHON_VARIABLE):
        assert part in str(error.value)
    assert not (tmp_path / "b").exists()


def test_environments_that_are_none(tmp_path, python, monkeypatch):
    python("", version="1.29.24")
    with pytest.raises(DeviceError, match=r"has onnx2tf 1\.29\.24, and 1\.28\.8 is the one"):
        exporter("tflite").check()
    monkeypatch.setenv(tflite.PYTHON_VARIABLE, str(tmp_path / "lost"))
    with pytest.raises(DeviceError, match=r"PADDLEVIDEO_TFLITE_PYTHON=.*lost cannot be run"):
        exporter("tflite").check()
    without = tmp_path / "without"
    without.write_text("#!/bin/sh\nexit 1\n")
    without.chmod(0o755)
    monkeypatch.setenv(tflite.PYTHON_VARIABLE, str(without))
    with pytest.raises(DeviceError, match="without cannot import onnx2tf: python -m venv"):
        exporter("tflite").check()


def test_the_version_is_that_of_the_requirements():
    text = (ROOT / "requirements-tflite.txt").read_text(encoding="utf-8")
    assert re.findall(r"^onnx2tf==(.*)$", text, re.M) == [tflite.CONVERTER_VERSION]


def test_how_it_is_called(tmp_path, python, monkeypatch):
    """Without the folders of our packages; its last line is the reason it fails for."""
    source, target = tmp_path / "m.onnx", tmp_path / "m.tflite"
    monkeypatch.setenv("PYTHONPATH", "ours")
    python('test -z "$PYTHONPATH" && test -f "$1" && echo "$4" > "$3"')
    tflite._convert(source, target, "fp16")
    assert target.read_text() == "fp16\n"
    target.unlink()
    python("echo a word; echo ValueError: wrong axes >&2; exit 1")
    with pytest.raises(BundleError, match="cannot convert m: ValueError: wrong axes; leave out"):
        tflite._convert(source, target, "fp32")
    monkeypatch.setattr(tflite, "_CONVERSION_SECONDS", 0.2)
    python("exec sleep 20")
    with pytest.raises(BundleError, match=r"not converted m in 0\.2 s"):
        tflite._convert(source, target, "fp32")


def test_nothing_is_half_written(tmp_path, python):
    """The converter fails; the bundle that is there stays."""
    python("echo 'ValueError: no such operation' >&2; exit 1")
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "inference.yml").write_text("older")
    wanted = ExportOptions(formats=("tflite",), mode="clip")
    with pytest.raises(BundleError, match="onnx2tf cannot convert m: ValueError: no such operat"):
        export_model(*small_stream(), folder, "m", None, wanted)
    assert [each.name for each in folder.iterdir()] == ["inference.yml"]
    assert (folder / "inference.yml").read_text() == "older"


def test_several_clips_at_a_time_are_refused(tmp_path):
    clips = TensorSpec("clip", (2, 4, 3, 32, 32), "uint8", "BTCHW")
    logits = TensorSpec("logits", (2, 4), "float32", "BN")
    spec = ClipProgram(files={}, inputs=(clips,), outputs=(logits,))
    program = TracedProgram(nn.Identity(), spec, "m", tmp_path)
    with pytest.raises(ConfigError, match="a program of one clip; leave out --batch 2"):
        exporter("tflite").write(program, tmp_path)


def test_eight_bits_in_other_formats():
    """Refused before anything is measured."""
    with pytest.raises(ConfigError, match="--format web: 8-bit programs are written as onnx and"):
        check_formats(("onnx", "web"))


def hard_sigmoids():
    """x * hard_sigmoid(x), another product with it, one of another slope, and one that is given."""
    from onnx import TensorProto, helper

    standard = {"alpha": 1 / 6, "beta": 0.5}
    nodes = [
        helper.make_node("HardSigmoid", ["x"], ["g1"], **standard),
        helper.make_node("Mul", ["g1", "x"], ["swish"]),
        helper.make_node("HardSigmoid", ["swish"], ["g2"], **standard),
        helper.make_node("Mul", ["x", "g2"], ["gated"]),
        helper.make_node("HardSigmoid", ["gated"], ["g3"]),
        helper.make_node("HardSigmoid", ["g3"], ["given"], **standard),
        helper.make_node("Mul", ["g3", "given"], ["y"]),
    ]

    def tensor(name):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 5])

    graph = helper.make_graph(nodes, "g", [tensor("x")], [tensor("y"), tensor("given")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_hard_sigmoids_become_what_tflite_has():
    import onnx
    import onnxruntime

    def run(model):
        onnx.checker.check_model(model)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        return session.run(None, {"x": np.array([[-9, -2, 0.3, 2, 7]], np.float32)})

    model = hard_sigmoids()
    expected = run(model)
    without_hard_sigmoid(model.graph)
    for ours, theirs in zip(run(model), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == ["HardSwish", "Add", "Clip", "Mul", "Mul", "HardSigmoid", "Add", "Clip", "Mul",
                     "Mul"]  # fmt: skip


@pytest.fixture
def converter():
    """Skips where nothing converts, or nothing runs what is made."""
    try:
        exporter("tflite").check()
    except DeviceError as error:
        pytest.skip(str(error))
    pytest.importorskip("ai_edge_litert.interpreter", reason="no extra litert")


@pytest.fixture
def calibration(tmp_path):
    return [write_noise(tmp_path / f"{number}.mp4", number) for number in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_file_is_the_network(tmp_path, precision, converter):
    """Names and axes, and the reference in LiteRT behind each of twelve frames."""
    from ai_edge_litert import interpreter as interpreters

    model, pipeline = small_stream(NUM_FRAMES)
    options = ExportOptions(formats=("tflite",), verify=True, precision=precision)
    bundle = export_model(model, pipeline, tmp_path / "b", "small", None, options)
    step = bundle.manifest.step
    assert step.files["tflite"] == ("small_step.tflite",)
    assert set(bundle.manifest.clip.files) == {"paddle", "tflite"}
    path = bundle.folder / "small_step.tflite"
    runner = interpreters.Interpreter(str(path)).get_signature_runner(SIGNATURE)
    stated = {name: queue.shape for queue in step.queues for name in queue.inputs}
    stated[step.inputs[0].name] = step.inputs[0].shape
    shapes = {name: list(each["shape"]) for name, each in runner.get_input_details().items()}
    assert shapes == {name: [1, h, w, c] for name, (_, c, h, w) in stated.items()}
    assert set(runner.get_output_details()) == set(step.output_names)
    found = {each.what: each.largest for each in proof.prove_bundle(read_bundle(bundle.folder))}
    tolerance = 1e-4 if precision == "fp32" else 1e-2
    assert found["step program in litert, reference"] <= tolerance
    assert found["clip program in litert, reference"] <= tolerance
    assert read_reference(bundle).order["clip"].shape[1] == NUM_FRAMES


@pytest.mark.slow
def test_clips_of_a_base_model(tmp_path, model, converter):
    """A model of clips alone, in axes as cameras give them; several clips one after the other."""
    from ai_edge_litert.interpreter import Interpreter

    options = ExportOptions(formats=("tflite",), verify=True)
    bundle = export_model(model, PIPELINE, tmp_path / "b", "m", None, options)
    (spec,) = bundle.manifest.clip.inputs
    runner = Interpreter(str(bundle.folder / "m.tflite")).get_signature_runner(SIGNATURE)
    _, frames, channels, height, width = spec.shape
    given = {name: tuple(each["shape"]) for name, each in runner.get_input_details().items()}
    assert given == {"clip": (1, frames, height, width, channels)}
    clips = np.random.default_rng(0).integers(0, 256, (3, *spec.shape[1:]), np.uint8)
    ours, theirs = (
        open_engine(bundle.clip_files, EngineOptions(device="cpu", engine=name)).run(
            {"clip": clips}
        )["logits"]
        for name in ("litert", "paddle")
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.slow
@pytest.mark.parametrize("weights_only", [False, True])
def test_an_int8_bundle(tmp_path, converter, calibration, weights_only):
    """The same answers as the int8 program in ONNX Runtime, in a file of integers."""
    from ai_edge_litert.interpreter import Interpreter

    floats = export_model(
        *small_stream(), tmp_path / "b", "small", None, ExportOptions(formats=("onnx",))
    )
    options = QuantizeOptions(
        weights_only=weights_only, max_error=9, formats=("onnx", "tflite"), search_videos=2
    )
    bundle = quantize_bundle(floats, calibration, tmp_path / "int8", options).bundle
    path = bundle.folder / "small_step.tflite"
    assert bundle.manifest.step.files["tflite"] == (path.name,)
    kernels = [e for e in Interpreter(str(path)).get_tensor_details() if len(e["shape"]) == 4]
    assert any(each["dtype"] == np.int8 for each in kernels)
    found = {each.what: each.largest for each in proof.prove_bundle(read_bundle(bundle.folder))}
    assert found["step program in litert, reference"] <= 5e-2
