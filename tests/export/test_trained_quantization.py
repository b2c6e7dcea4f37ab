"""Int8 bundles of networks that were trained for 8 bits: they compute what was trained."""

from collections import Counter

import numpy as np
import onnx
import paddle
import pytest
from modeling.conftest import randomise
from runtime.conftest import LABELS, PIPELINE
from runtime.test_stream_bundle import HAS_ONNX

import paddlevideo
from export.rounded_form import rounded_states
from paddlevideo.export import ExportOptions, export_model
from paddlevideo.export.quantization import (
    QuantizeOptions,
    quantize_bundle,
    quantize_trained,
    trained,
)
from paddlevideo.export.quantization.step_graphs import load_step_graph, open_runner, run_clips
from paddlevideo.export.quantization.trained_ranges import find_roundings
from paddlevideo.modeling.layers.rounding import (
    FixedRounding,
    Phase,
    Quantization,
    Rounding,
)
from paddlevideo.runtime import load_predictor, read_bundle
from paddlevideo.utils.errors import BundleError, ConfigError

pytestmark = pytest.mark.skipif(not HAS_ONNX, reason="requirements-onnx.txt is not installed")

FRAMES = 6
STREAM_PIPELINE = {**PIPELINE, "sample": {"name": "UniformSampler", "num_frames": FRAMES}}
MOBILE = {"se_type": "none", "activation": "relu6", "classifier_activation": "relu6"}


def noise(batch, seed):
    return np.random.default_rng(seed).integers(0, 256, (batch, FRAMES, 3, 32, 32), np.uint8)


def observed(**options):
    """A network whose weights are random and whose ranges have followed a few batches."""
    paddle.seed(0)
    model = randomise(paddlevideo.create_model("movinet_t0_stream", num_classes=5, **options))
    quantization = Quantization()
    model.quantize(quantization)
    quantization.phase = Phase.OBSERVING
    model.train()
    for seed in range(3):
        model(paddle.to_tensor(noise(2, seed)))
    quantization.phase = Phase.FIXED
    return model.eval()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(MOBILE, id="mobile"),
        pytest.param({}, id="gates", marks=pytest.mark.slow),
    ],
)
def model(request):
    return observed(**request.param)


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounded") / "b"
    options = ExportOptions(formats=("onnx",), verify=True)
    return export_model(model, STREAM_PIPELINE, folder, "Small", LABELS, options)


@pytest.fixture(scope="module")
def made(whole, tmp_path_factory):
    return quantize_trained(whole, tmp_path_factory.mktemp("int8") / "b")


def eager_steps(model, clips):
    """Logits [T, B, N], frame by frame, and the states behind the last."""
    states, logits = model.init_states(len(clips), 32, 32), []
    with paddle.no_grad():
        for time in range(clips.shape[1]):
            result, states = model.step(paddle.to_tensor(clips[:, time : time + 1]), states)
            logits.append(result.numpy())
    return np.stack(logits), states


def spread(logits):
    return np.ptp(logits, axis=-1).mean()


def test_every_rounding_is_found_with_its_range(model, whole):
    """As many and the same as the deployed network has, whatever became of their operations."""
    network = model.step_program(32, 32)
    expected = Counter(
        (np.float32(layer.found.scale), layer.found.zero_point)
        for layer in network.sublayers()
        if isinstance(layer, FixedRounding) and layer.found is not None
    )
    found = find_roundings(load_step_graph(whole))
    assert expected == Counter(
        (np.float32(item.range.scale), item.range.zero_point) for item in found
    )
    num_trained = sum(isinstance(layer, Rounding) for layer in model.sublayers())
    assert len(found) == num_trained + 1  # the pixels' is fixed


def test_the_network_steps_as_it_was_trained_on_clips(model):
    clips = noise(3, 9)
    with paddle.no_grad():
        whole_clip = model(paddle.to_tensor(clips)).numpy()
    steps, states = eager_steps(model, clips)
    assert np.abs(steps[-1] - whole_clip).max() < 0.02 * spread(whole_clip)
    buffers = [value.numpy() for name, value in states.items() if "stream_buffer" in name]
    assert buffers and all(len(np.unique(buffer)) <= 256 for buffer in buffers)


def test_integers_give_what_was_trained(model, made):
    clips = noise(4, 11)
    expected, _ = eager_steps(model, clips)
    graph = onnx.load(str(made.step_files.onnx))
    found = run_clips(open_runner(made, graph, len(clips)), clips)
    assert np.abs(found - expected).max() < 0.05 * spread(expected)
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.01 * spread(expected)
    sure = np.diff(np.sort(expected, axis=-1)[..., -2:], axis=-1)[..., 0] > 0.05 * spread(expected)
    assert sure.mean() > 0.5
    np.testing.assert_array_equal(found.argmax(-1)[sure], expected.argmax(-1)[sure])


def test_states_are_on_8_bits(made):
    """The frames that a stream keeps, with the trained range of what makes them."""
    step = made.manifest.step
    kept = rounded_states(onnx.load(str(made.step_files.onnx)).graph, step)
    maps = [queue.name for queue in step.queues if queue.shape[2:] != (1, 1)]
    assert kept and kept == maps == made.manifest.quantization["uint8_states"]


def test_engines_compute_with_integers(made, tmp_path):
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.optimized_model_filepath = str(tmp_path / "fused.onnx")
    onnxruntime.InferenceSession(
        str(made.step_files.onnx), settings, providers=["CPUExecutionProvider"]
    )
    kinds = Counter(node.op_type for node in onnx.load(str(tmp_path / "fused.onnx")).graph.node)
    facts = made.manifest.quantization
    assert kinds["QLinearConv"] == facts["integer_layers"] > 20
    assert kinds["QLinearAdd"] >= 8


def test_the_bundle_says_so_and_works_as_any(made):
    manifest = read_bundle(made.folder).manifest
    assert manifest.step.precision == "int8" and manifest.clip is None
    facts = manifest.quantization
    assert (facts["arithmetic"], facts["ranges"]) == ("int8", "trained")
    session = load_predictor(made.folder, device="cpu").open_stream()
    frame = np.zeros((40, 48, 3), np.uint8)
    assert session.push(frame) is not None


def test_trained_ranges_are_not_measured_again(whole, tmp_path):
    with pytest.raises(
        BundleError, match="has its ranges already: export it with --precision int8"
    ):
        quantize_bundle(whole, [], tmp_path / "b", QuantizeOptions())


def test_a_network_without_ranges_is_refused(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "find_roundings", lambda _: [])
    with pytest.raises(BundleError, match="has no trained ranges: train with the section QUANTIZE"):
        quantize_trained(whole, tmp_path / "b")


@pytest.mark.parametrize("name", ["movinet_a0_base", "movinet_a6_base"])
def test_networks_of_whole_clips_are_refused(name):
    model = paddlevideo.create_model(name, num_classes=5)
    with pytest.raises(ConfigError, match="QUANTIZE"):
        model.quantize(Quantization())


def test_recomputed_layers_are_refused():
    model = paddlevideo.create_model("movinet_t0_stream", num_classes=5, recompute=True)
    with pytest.raises(ConfigError, match="recompute: false with QUANTIZE"):
        model.quantize(Quantization())
