"""The frames that a stream keeps, on 8 bits: which, in which form, and what it does to answers."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")
import onnx
from onnx import TensorProto, helper, numpy_helper
from runtime.test_stream_bundle import HAS_ONNX

from export.rounded_form import rounded_states
from export.test_quantization import STREAM_PIPELINE, noise_clips, relative, write_noise
from paddlevideo.export.quantization import QuantizeOptions, quantize_bundle
from paddlevideo.export.quantization.calibration import CalibrationVideos, measure
from paddlevideo.export.quantization.graph_layers import find_layers
from paddlevideo.export.quantization.integer_graph import quantised_graph
from paddlevideo.export.quantization.rounded_states import find_states
from paddlevideo.export.quantization.step_graphs import open_runner, run_clips
from paddlevideo.export.web.browser_graph import write_browser_graph
from paddlevideo.runtime import read_bundle
from paddlevideo.runtime.bundle import file_facts, write_manifest
from paddlevideo.runtime.manifest import BundleManifest, StateQueue, StepProgram, TensorSpec
from paddlevideo.utils.errors import ConfigError

pytestmark = pytest.mark.skipif(not HAS_ONNX, reason="requirements-onnx.txt is not installed")

C, SIDE, CLASSES = 4, 16, 5
FILE = "Hand_step.onnx"
ALL_LAYERS = ("full", "depthwise", "dense", "tap")


def step_graph():
    """A stem, a convolution over three frames, and states of all kinds.

    ``kept`` are two past maps; ``blend`` is a map that is computed from its own past; ``mean`` is
    a vector, ``count`` an integer.
    """
    make = helper.make_node
    nodes = [
        make("Cast", ["frame"], ["pixels"], to=TensorProto.FLOAT),
        make("Conv", ["pixels", "stem", "stem_bias"], ["map"], strides=[2, 2]),
        make("Relu", ["map"], ["new_kept"]),
        make("Conv", ["kept_0", "tap_0"], ["part_0"], group=C),
        make("Conv", ["kept_1", "tap_1"], ["part_1"], group=C),
        make("Conv", ["new_kept", "tap_2"], ["part_2"], group=C),
        make("Add", ["part_0", "part_1"], ["past"]),
        make("Add", ["past", "part_2"], ["mixed"]),
        make("Conv", ["mixed", "window"], ["windows"], group=C, pads=[1, 1, 1, 1]),
        make("Mul", ["blend", "half"], ["faded"]),
        make("Add", ["faded", "windows"], ["new_blend"]),
        make("GlobalAveragePool", ["new_blend"], ["new_mean"]),
        make("Add", ["new_mean", "mean"], ["vector"]),
        make("Conv", ["vector", "classes"], ["scores"]),
        make("Reshape", ["scores", "flat"], ["logits"]),
        make("Add", ["count", "one"], ["new_count"]),
    ]
    rng = np.random.default_rng(3)

    def normal(*shape, size=1.0):
        return (size * rng.standard_normal(shape)).astype(np.float32)

    constants = {
        "stem": normal(C, 3, 2, 2, size=0.01), "stem_bias": normal(C),
        **{f"tap_{n}": normal(C, 1, 1, 1) for n in range(3)},
        "window": normal(C, 1, 3, 3), "classes": normal(CLASSES, C, 1, 1),
        "half": np.float32(0.5), "flat": np.array([0, CLASSES]), "one": np.int32(1),
    }  # fmt: skip
    sizes = {"kept_0": SIDE, "kept_1": SIDE, "blend": SIDE, "mean": 1}
    news = {"new_kept": SIDE, "new_blend": SIDE, "new_mean": 1}

    def value(name, size, kind=TensorProto.FLOAT, channels=C):
        return helper.make_tensor_value_info(name, kind, ["batch", channels, size, size])

    graph = helper.make_graph(
        nodes,
        "step",
        [
            value("frame", 32, TensorProto.UINT8, 3),
            value("count", 1, TensorProto.INT32, 1),
            *(value(name, size) for name, size in sizes.items()),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES]),
            value("new_count", 1, TensorProto.INT32, 1),
            *(value(name, size) for name, size in news.items()),
        ],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def queue(name, inputs, shape, dtype="float32"):
    return StateQueue(name, len(inputs), (-1, *shape), dtype, tuple(inputs), f"new_{name}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("float")
    onnx.save(step_graph(), str(folder / FILE))
    step = StepProgram(
        files={"onnx": (FILE,)},
        inputs=(TensorSpec("frame", (-1, 3, 32, 32), "uint8", "BCHW"),),
        outputs=(TensorSpec("logits", (-1, CLASSES), "float32", "BN"),),
        queues=(
            queue("count", ["count"], (1, 1, 1), "int32"),
            queue("kept", ["kept_0", "kept_1"], (C, SIDE, SIDE)),
            queue("blend", ["blend"], (C, SIDE, SIDE)),
            queue("mean", ["mean"], (C, 1, 1)),
        ),
        frame_rate=10.0,
    )
    facts = file_facts(folder, [FILE])
    write_manifest(folder, BundleManifest("Hand", (step,), STREAM_PIPELINE, files=facts))
    return read_bundle(folder)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return [write_noise(folder / f"{number}.mp4", number) for number in range(3)]


@pytest.fixture(scope="module")
def graph(whole):
    return onnx.load(str(whole.step_files.onnx))


@pytest.fixture(scope="module")
def measured(whole, graph, videos):
    layers, states = find_layers(graph), find_states(graph.graph, whole.manifest.step)
    chosen = [layer for layer in layers if layer.can_be_integer]
    found = measure(whole, graph, chosen, CalibrationVideos(whole, videos, 3), states)
    return layers, states, found


@pytest.fixture
def quantise(whole, videos, tmp_path):
    """Quantise with these options; what came of it and the graph that was written."""

    def made(**options):
        found = QuantizeOptions(num_videos=2, search_videos=1, **{"max_error": 100.0, **options})
        result = quantize_bundle(whole, videos, tmp_path / "int8", found)
        return result, onnx.load(str(result.bundle.step_files.onnx)).graph

    return made


def test_maps_that_are_kept_are_states(measured, whole, graph):
    """Not vectors, not counters, nothing that is computed from its own past."""
    _, states, found = measured
    (state,) = states
    assert (state.name, state.shape) == ("kept", (C, SIDE, SIDE))
    assert (state.inputs, state.output) == (("kept_0", "kept_1"), "new_kept")
    assert found.histograms["new_kept"].high > 0
    assert find_states(graph.graph, None) == []


@pytest.mark.parametrize("names", [(), ("full", "depthwise")])
def test_the_form(measured, whole, graph, names):
    """Alone, and where the layer that makes the map, or one that reads it, is in integers."""
    layers, states, found = measured
    integer = {layer.name for layer in layers if layer.kind in names}
    made = quantised_graph(graph, layers, integer, found.ranges("minmax"), {}, states)
    assert rounded_states(made.graph, whole.manifest.step) == ["kept"]
    roundings = sum(node.op_type == "QuantizeLinear" for node in made.graph.node)
    # Two past maps and the newest; the pixels, and what the depthwise layer takes and gives.
    assert roundings == 3 + (3 if names else 0)
    assert rounded_states(graph.graph, whole.manifest.step) == []


def test_a_layer_that_reads_the_past_reads_it_rounded(whole, graph, measured):
    """A convolution of a past map in integers takes the state's steps."""
    layers, states, found = measured
    reading = [
        replace(layer, kind="pointwise", rounded=("part_0",)) if layer.input == "kept_0" else layer
        for layer in layers
    ]
    name = next(layer.name for layer in reading if layer.input == "kept_0")
    ranges = {**found.ranges("minmax"), "part_0": found.ranges("minmax")["new_kept"]}
    made = quantised_graph(graph, reading, {name}, ranges, {}, states)
    assert rounded_states(made.graph, whole.manifest.step) == ["kept"]
    makers = {node.output[0]: node for node in made.graph.node}
    assert makers["part_0"].input[0] == "kept_0_rounded"
    run_clips(open_runner(whole, made, 1), noise_clips(1, 2))


def test_a_long_stream_does_not_drift(whole, graph, measured):
    layers, states, found = measured
    names = {layer.name for layer in layers if layer.can_be_integer}
    clip = noise_clips(1, 300)
    expected = run_clips(open_runner(whole, graph, 1), clip)
    for integer in (set(), names):
        made = quantised_graph(graph, layers, integer, found.ranges("minmax"), {}, states)
        answers = run_clips(open_runner(whole, made, 1), clip)
        early, late = (
            relative(answers[part], expected[part]) for part in (slice(40), slice(260, 300))
        )
        assert late < 2 * early
        assert integer or 1e-4 < early < 0.05


def test_what_was_handed_on_is_on_the_steps_already(whole, graph, measured):
    """To read it rounded changes no bit of a stream that begins with zeros."""
    layers, states, found = measured
    made = quantised_graph(graph, layers, set(), found.ranges("minmax"), {}, states)
    plain = onnx.ModelProto()
    plain.CopyFrom(made)
    for node in plain.graph.node:
        node.input[:] = [name.removesuffix("_rounded") for name in node.input]
    assert not any("kept_0_rounded" in node.input for node in plain.graph.node)
    clips = noise_clips(2, 6)
    answers = [run_clips(open_runner(whole, each, 2), clips) for each in (made, plain)]
    np.testing.assert_array_equal(*answers)
    runner = open_runner(whole, made, 2)
    run_clips(runner, clips)
    held = runner.snapshot()
    assert {array.dtype.name for array in held.values()} == {"float32", "int32"}
    assert len(np.unique(held["kept_1"])) <= 256 < len(np.unique(held["blend"]))


def test_a_page_does_not_round_the_past_again(quantise, tmp_path):
    """It has the same answers with fewer operations."""
    result, graph = quantise()
    written = tmp_path / "page.onnx"
    write_browser_graph(result.bundle.step_files.onnx, written)
    page = onnx.load(str(written))
    roundings = [
        sum(node.op_type == "QuantizeLinear" for node in each.node) for each in (graph, page.graph)
    ]
    assert roundings[0] - roundings[1] == 2
    clips = noise_clips(1, 6)
    found, expected = (
        run_clips(open_runner(result.bundle, each, 1), clips)
        for each in (page, onnx.load(str(result.bundle.step_files.onnx)))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_bundle_says_which(quantise, whole):
    result, graph = quantise()
    (choice,) = result.states
    assert (choice.state.name, choice.stored) == ("kept", "uint8") and choice.damage > 0
    manifest = result.bundle.manifest
    assert manifest.quantization["uint8_states"] == ["kept"]
    assert manifest.step.queues == whole.manifest.step.queues
    assert rounded_states(graph, manifest.step) == ["kept"]


@pytest.mark.parametrize("name", ["state", "kept"])
def test_states_that_are_to_stay_float(quantise, name):
    result, graph = quantise(keep_float=(name,))
    assert [(choice.damage, choice.stored) for choice in result.states] == [(None, "float32")]
    assert all(choice.stored == "int8" for choice in result.layers if choice.layer.can_be_integer)
    assert result.bundle.manifest.quantization["uint8_states"] == []
    assert rounded_states(graph, result.bundle.manifest.step) == []


def test_a_state_that_costs_too_much_is_put_back(quantise):
    """Here nothing else is rounded: so few weights are kept as they are."""
    result, _ = quantise(keep_float=ALL_LAYERS)
    (choice,) = result.states
    assert choice.stored == "uint8" and result.damage.error == choice.damage > 0
    result, graph = quantise(keep_float=ALL_LAYERS, max_error=choice.damage / 2)
    assert [(each.damage, each.stored) for each in result.states] == [(choice.damage, "float32")]
    assert result.damage.error == 0
    assert rounded_states(graph, result.bundle.manifest.step) == []


def test_weights_alone_leave_states_as_they_are(quantise):
    result, graph = quantise(weights_only=True)
    assert result.states == ()
    assert not any(node.op_type == "QuantizeLinear" for node in graph.node)
    with pytest.raises(ConfigError, match="--keep_float state has no effect here"):
        quantise(weights_only=True, keep_float=("state",))
    with pytest.raises(ConfigError, match=r"--keep_float keept: .*did you mean \"kept\""):
        quantise(keep_float=("keept",))
