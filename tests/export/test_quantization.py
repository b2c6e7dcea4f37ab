"""Quantised bundles: what is measured, what is kept in float, and that they stream as before."""

import shutil
from collections import Counter
from dataclasses import replace

import av
import numpy as np
import pytest
from apps.test_tools import run
from hypothesis import example, given
from hypothesis import strategies as st
from modeling.conftest import randomise
from runtime.conftest import LABELS, PIPELINE
from runtime.test_stream_bundle import HAS_ONNX

import paddlevideo
from export.rounded_form import rounded_states
from paddlevideo.export import ExportOptions, export_clip_model, export_model
from paddlevideo.export.quantization import QuantizeOptions, quantize_bundle, step_graphs
from paddlevideo.export.quantization.calibration import CalibrationVideos, measure
from paddlevideo.export.quantization.graph_layers import find_layers
from paddlevideo.export.quantization.integer_graph import quantised_graph
from paddlevideo.export.quantization.ranges import LEVELS, Histogram, range_of
from paddlevideo.export.quantization.step_graphs import (
    load_graph,
    load_step_graph,
    open_runner,
    run_clips,
)
from paddlevideo.runtime import load_predictor
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils import packages
from paddlevideo.utils.errors import BundleError, ConfigError, DataError, DeviceError

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.skipif(not HAS_ONNX, reason="requirements-onnx.txt is not installed")

FRAMES = 8
STREAM_PIPELINE = {**PIPELINE, "sample": {"name": "UniformSampler", "num_frames": FRAMES}}
KEPT = ("dense", "conv025")


def write_noise(path, seed, num_frames=10):
    """A video whose frames differ, coarse enough to survive the codec."""
    rng = np.random.default_rng(seed)
    tint = rng.integers(0, 256, 3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 4_000_000
        for _ in range(num_frames):
            blocks = (rng.integers(0, 256, (6, 8, 3)) + tint) // 2
            image = np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return [write_noise(folder / f"{number}.mp4", number) for number in range(4)]


@pytest.fixture(scope="module")
def model():
    return randomise(paddlevideo.create_model("movinet_t0_stream", num_classes=5)).eval()


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "b"
    options = ExportOptions(formats=("onnx",))
    return export_model(model, STREAM_PIPELINE, folder, "Small", LABELS, options)


@pytest.fixture(scope="module")
def graph(whole):
    return load_step_graph(whole)


@pytest.fixture(scope="module")
def layers(graph):
    return find_layers(graph)


@pytest.fixture(scope="module")
def measured(whole, graph, layers, videos):
    chosen = [layer for layer in layers if layer.can_be_integer]
    return measure(whole, graph, chosen, CalibrationVideos(whole, videos, 4))


@pytest.fixture(scope="module")
def result(whole, videos, tmp_path_factory):
    options = QuantizeOptions(num_videos=3, search_videos=2, keep_float=KEPT, max_error=0.1)
    return quantize_bundle(whole, videos, tmp_path_factory.mktemp("int8") / "b", options)


def noise_clips(batch, number, seed=7):
    return np.random.default_rng(seed).integers(0, 256, (batch, number, 3, 32, 32), np.uint8)


def relative(found, expected):
    return np.sqrt(np.mean((found - expected) ** 2)) / expected.std()


# --- ranges


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=50),
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=50),
)
@example([0.0], [1.1084270852809303e-42])  # bins of that width are one number in float32
def test_the_whole_range_rounds_by_half_a_step(first, second):
    histogram = Histogram()
    for values in (first, second):
        histogram.add(np.array(values, np.float32))
    found = histogram.range("minmax")
    assert 0 <= found.zero_point <= LEVELS
    values = np.array([0.0, *first, *second])
    steps = np.clip(np.rint(values / found.scale) + found.zero_point, 0, LEVELS)
    back = (steps - found.zero_point) * found.scale
    assert back[0] == 0.0
    if np.abs(values).max() > 1e-30:
        # The zero point is a whole step, so an end may be cut off by half a step.
        assert np.abs(back - values).max() <= found.scale * 1.001


def test_narrowed_ranges_leave_rare_values_out():
    """A few values far out are worth less than finer steps for all the others."""
    rng = np.random.default_rng(0)
    histogram = Histogram()
    values = rng.standard_normal(200_000).astype(np.float32)
    histogram.add(values)
    histogram.add(np.array([30.0], np.float32))
    whole, percentile, mse = (histogram.range(m) for m in ("minmax", "percentile", "mse"))
    assert whole.scale == pytest.approx((30 - values.min()) / LEVELS, rel=1e-5)
    assert 6 < percentile.scale * LEVELS < 9
    assert mse.scale < 0.9 * whole.scale

    def error(found):
        seen = np.append(values, 30.0)
        steps = np.clip(np.rint(seen / found.scale) + found.zero_point, 0, LEVELS)
        return np.mean(((steps - found.zero_point) * found.scale - seen) ** 2)

    assert error(mse) < min(error(whole), error(percentile))


def test_the_histogram_grows():
    """Values outside double its width; nothing that was counted is lost."""
    histogram = Histogram()
    for scale in (0.0, 1e-3, 1.0, 5.0, 700.0):
        histogram.add(np.linspace(-scale, scale, 101, dtype=np.float32), limit=50)
    assert (histogram.low, histogram.high) == (-700.0, 700.0)
    assert histogram._counts.sum() == 5 * 34  # every third of 101
    assert range_of(2.0, 3.0) == range_of(0.0, 3.0) and range_of(0.0, 0.0).scale == 1.0


# --- the states are carried


def test_calibration_hands_the_states_on(whole, graph, layers, videos, measured):
    """Deep in a video tensors reach what they never do in a first frame."""

    class FirstFrames(CalibrationVideos):
        def clips(self, count=None):
            for clip in super().clips(count):
                yield from (frame[None] for frame in clip)

    assert (measured.num_videos, measured.num_frames) == (4, 4 * FRAMES)
    chosen = [layer for layer in layers if layer.can_be_integer]
    reset = measure(whole, graph, chosen, FirstFrames(whole, videos, 4))
    assert reset.num_frames == measured.num_frames
    wider = [
        name
        for name, histogram in measured.histograms.items()
        if histogram.high > 1.2 * reset.histograms[name].high
    ]
    assert len(wider) > 5

    names = {layer.name for layer in chosen}
    clips = noise_clips(2, FRAMES)
    expected = run_clips(open_runner(whole, graph, 2), clips)
    errors = [
        relative(run_clips(open_runner(whole, made, 2), clips), expected)
        for made in (
            quantised_graph(graph, layers, names, found.ranges("minmax"), {})
            for found in (measured, reset)
        )
    ]
    assert errors[0] < 0.6 * errors[1]


def test_calibration_sees_what_prediction_sees(whole, videos):
    (clip,) = CalibrationVideos(whole, videos[:1], 1).clips()
    predictor = load_predictor(whole.folder, device="cpu")
    np.testing.assert_array_equal(clip, predictor.pipeline.load_clips(str(videos[0]))["clip"])


def test_videos_are_spread_over_the_list(whole):
    paths = [f"{number}.mp4" for number in range(10)]
    assert CalibrationVideos(whole, paths, 4).paths == ["0.mp4", "3.mp4", "6.mp4", "9.mp4"]
    assert CalibrationVideos(whole, paths, 40).paths == paths


# --- the graph


def test_the_layers(layers, graph):
    kinds = Counter(layer.kind for layer in layers)
    assert kinds["full"] == 1 and kinds["depthwise"] == 14
    # Here the last block sees maps of one pixel, which are vectors too.
    assert kinds["dense"] >= 2 * 14 + 2 and kinds["tap"] > 14 and kinds["pointwise"] > 14
    assert len(layers) == sum(node.op_type == "Conv" for node in graph.graph.node)
    assert not any(layer.can_be_integer for layer in layers if layer.kind in ("dense", "tap"))


def test_integers_in_a_long_stream_do_not_drift(whole, graph, layers, measured):
    names = {layer.name for layer in layers if layer.can_be_integer}
    made = quantised_graph(graph, layers, names, measured.ranges("minmax"), {})
    kinds = Counter(node.op_type for node in made.graph.node)
    assert kinds["QuantizeLinear"] >= len(names)
    clip = noise_clips(1, 300)
    expected, found = (run_clips(open_runner(whole, g, 1), clip) for g in (graph, made))
    early, late = (relative(found[part], expected[part]) for part in (slice(40), slice(260, 300)))
    assert late < max(2 * early, 0.05)


def test_the_tensors_of_states_stay_float(result, whole):
    """The frames that are kept lie on 8 bits all the same; `test_rounded_states` has the rest."""
    graph = onnx.load(str(result.bundle.step_files.onnx)).graph
    kept = [choice.state.name for choice in result.states if choice.stored == "uint8"]
    assert rounded_states(graph, result.bundle.manifest.step) == kept
    assert kept and all("stream_buffer" in name for name in kept)
    assert result.bundle.manifest.step.queues == whole.manifest.step.queues
    runner = StepRunner(result.bundle, EngineOptions(device="cpu", cpu_threads=1))
    runner.step(noise_clips(1, 1)[:, 0])
    kinds = {array.dtype.name for array in runner.snapshot().values()}
    assert kinds == {"float32", "int32"}


def test_weights_alone_leave_the_arithmetic(whole, graph, layers):
    stored = {layer.name: "int8" for layer in layers if layer.is_worth_it}
    made = quantised_graph(graph, layers, set(), {}, stored)
    kinds = Counter(node.op_type for node in made.graph.node)
    assert "QuantizeLinear" not in kinds and "DequantizeLinear" not in kinds
    clips = noise_clips(2, 4)
    expected, found = (run_clips(open_runner(whole, g, 2), clips) for g in (graph, made))
    assert 1e-4 < relative(found, expected) < 0.1


def test_the_mobile_variant(tmp_path, videos):
    """relu6 goes into the integer convolution before it: what is rounded lies in 0 to 6."""
    options = {"activation": "relu6", "se_type": "none"}
    network = paddlevideo.create_model("movinet_t0_stream", num_classes=5, **options)
    made = ExportOptions(formats=("onnx",))
    bundle = export_model(
        randomise(network).eval(), STREAM_PIPELINE, tmp_path / "b", "m", None, made
    )
    graph = load_step_graph(bundle)
    layers = find_layers(graph)
    chosen = [layer for layer in layers if layer.can_be_integer]
    with_activation = [layer for layer in chosen if layer.measured_output != layer.output]
    assert len(with_activation) >= 14
    found = measure(bundle, graph, chosen, CalibrationVideos(bundle, videos, 2))
    for layer in with_activation:
        histogram = found.histograms[layer.measured_output]
        assert 0 <= histogram.low <= histogram.high <= 6
    names = {layer.name for layer in chosen}
    small = quantised_graph(graph, layers, names, found.ranges("minmax"), {})
    clips = noise_clips(2, 6)
    expected, answers = (run_clips(open_runner(bundle, g, 2), clips) for g in (graph, small))
    assert relative(answers, expected) < 0.15


# --- the bundle


def test_what_is_written(result, whole):
    folder, manifest = result.bundle.folder, result.bundle.manifest
    assert {path.name for path in folder.iterdir()} == {
        "Small_step.onnx",
        "reference.npz",
        "inference.yml",
    }
    (step,) = manifest.programs
    assert (step.kind, step.precision) == ("step", "int8") and manifest.labels == LABELS
    assert step.files == {"onnx": ("Small_step.onnx",)}
    assert manifest.pipeline == whole.manifest.pipeline
    facts = manifest.quantization
    assert (facts["calibration_videos"], facts["calibration_frames"]) == (3, 3 * FRAMES)
    assert facts["error"] == pytest.approx(result.damage.error, abs=1e-5) and facts["error"] <= 0.1
    sizes = [b.manifest.files["Small_step.onnx"]["size"] for b in (whole, result.bundle)]
    assert sizes[1] < 0.7 * sizes[0]


def test_what_was_kept(result):
    for choice in result.layers:
        kept = choice.layer.kind in ("dense", "tap") or choice.layer.name == "conv025"
        assert (choice.damage is None) == kept
        if kept:
            assert choice.stored == "float16 weights"
    assert any(choice.stored == "int8" for choice in result.layers)


def test_predict_session_and_pool(result, whole, videos):
    """All answer alike, and nearly as the float bundle does."""
    predictor = load_predictor(result.bundle.folder, device="cpu", cpu_threads=1)
    (clip,) = CalibrationVideos(whole, videos[:1], 1).clips()
    logits = run_clips(StepRunner(result.bundle, EngineOptions(device="cpu")), clip[None])[-1, 0]
    scores = np.exp(logits - logits.max())
    expected = scores / scores.sum()
    by_file = predictor(videos[0], top_k=5)
    np.testing.assert_allclose([item.score for item in by_file.top], -np.sort(-expected), rtol=1e-4)
    batch = {"clip": np.stack([clip, clip])}
    twice = predictor.classify(batch, ["a", "b"], 5)
    assert twice[0].top[0].score == pytest.approx(twice[1].top[0].score, rel=1e-4)
    session, pool = predictor.open_stream(top_k=5), predictor.open_pool(2, threads=1, top_k=5)
    stream = pool.open()
    for frame in clip:
        answer = session.push(frame.transpose(1, 2, 0))
        stream.push(frame.transpose(1, 2, 0))
        ((_, pooled),) = pool.step()
    # The transforms of the bundle scale a frame of 32 pixels once more: alike, not equal.
    assert answer.index == pooled.index
    assert answer.score == pytest.approx(pooled.score, rel=1e-3)
    float_scores = load_predictor(whole.folder, device="cpu")(videos[0], top_k=5)
    assert by_file.index == float_scores.index


def test_engines_that_cannot(result):
    with pytest.raises(BundleError, match=r"without a program of Paddle's .*--engine onnxruntime"):
        load_predictor(result.bundle.folder, device="cpu", engine="paddle").open_stream()
    with pytest.raises(BundleError, match="quantised and holds the program of one frame alone"):
        _ = result.bundle.program


# --- whole clips


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A network that sees frames before and after each, which has no step program."""
    network = randomise(paddlevideo.create_model("movinet_t0_base", num_classes=5)).eval()
    folder = tmp_path_factory.mktemp("base") / "b"
    return export_model(
        network, STREAM_PIPELINE, folder, "b", LABELS, ExportOptions(formats=("onnx",))
    )


def test_a_kernel_over_time_is_one_layer(base):
    model = load_graph(base)
    layers = find_layers(model)
    made = [name for layer in layers for name in (layer.output, *dict(layer.others))]
    convolutions = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    assert sorted(made) == sorted(convolutions)
    over_time = [layer for layer in layers if layer.kind == "temporal"]
    assert over_time and all(len(layer.others) in (2, 4) for layer in over_time)
    assert not any(layer.kind == "tap" for layer in layers)
    makers = {node.output[0]: node for node in model.graph.node}
    for layer in over_time:
        assert makers[layer.measured_output].op_type == "Add"
        assert len(set(layer.weights)) == 1 + len(layer.others)


def test_a_clip_program_is_quantised(base, videos, tmp_path, monkeypatch):
    """As one of frames is; what is shown of a clip is shown in parts that fit the memory."""
    monkeypatch.setattr(step_graphs, "_MOST_BYTES", 1 << 18)
    kept = ("dense", "pointwise")
    options = QuantizeOptions(num_videos=3, search_videos=1, keep_float=kept, max_error=0.2)
    found = quantize_bundle(base, videos, tmp_path / "int8", options)
    assert found.damage.error < 0.2
    kinds = Counter((choice.layer.kind, choice.stored) for choice in found.layers)
    assert kinds["temporal", "int8"] and not kinds["pointwise", "int8"]
    manifest = found.bundle.manifest
    assert manifest.step is None and manifest.clip.precision == "int8"
    size = base.clip_files.onnx.stat().st_size
    assert found.bundle.clip_files.onnx.stat().st_size < 0.6 * size
    graph = onnx.load(str(found.bundle.clip_files.onnx)).graph
    scales = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for choice in found.layers:
        if (choice.layer.kind, choice.stored) == ("temporal", "int8"):
            name = choice.layer.name
            for number in range(1, 1 + len(choice.layer.others)):
                others = scales[f"{name}_{number}_kernel_scale"]
                np.testing.assert_array_equal(scales[f"{name}_kernel_scale"], others)
    top = load_predictor(found.bundle.folder, device="cpu", engine="onnxruntime")(videos[0])
    assert top.label in LABELS
    with pytest.raises(ConfigError, match="--format tflite: 8-bit programs of whole clips"):
        quantize_bundle(base, videos, tmp_path / "b", QuantizeOptions(formats=("tflite",)))
    with pytest.raises(BundleError, match="int8 weights already"):
        quantize_bundle(found.bundle, videos, tmp_path / "b", options)


# --- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_float": ("depthwize",)}, r"--keep_float depthwize.*did you mean \"depthwise\""),
        ({"keep_float": ("conv999",)}, "conv999: no layer"),
        ({"num_videos": 0}, "num_videos is 0, expected at least 1"),
        ({"max_error": float("nan")}, "max_error is nan"),
    ],
)
def test_options_that_cannot_be(whole, videos, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        quantize_bundle(whole, videos, tmp_path / "b", QuantizeOptions(**options))
    assert not (tmp_path / "b").exists()


def with_step(bundle, step):
    clip = bundle.manifest.clip
    return replace(bundle, manifest=replace(bundle.manifest, programs=(clip, step)))


def test_bundles_that_cannot_be(model, whole, result, videos, tmp_path):
    def fails(bundle, kind, message, output=tmp_path / "out"):
        with pytest.raises(kind, match=message):
            quantize_bundle(bundle, videos, output, QuantizeOptions())
        assert not (tmp_path / "out").exists()

    fails(result.bundle, BundleError, "int8 weights already; quantise the fp32 bundle")
    fails(whole, ConfigError, "is the bundle to be quantised", whole.folder)
    clip = export_clip_model(model, STREAM_PIPELINE, tmp_path / "clip", "m")
    fails(clip, BundleError, "no clip program as ONNX.*--format paddle,onnx")
    files = {"paddle": whole.manifest.step.files["paddle"]}
    no_onnx = with_step(whole, replace(whole.manifest.step, files=files))
    fails(no_onnx, BundleError, "no step program as ONNX.*--format paddle,onnx")
    frame = replace(whole.manifest.step.inputs[0], shape=(4, 3, 32, 32))
    step = replace(whole.manifest.step, inputs=(frame,))
    fails(with_step(whole, step), BundleError, "for 4 streams at a time.*--batch dynamic")


def test_missing_packages(whole, videos, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "is_installed", lambda name: name != "onnxruntime")
    with pytest.raises(DeviceError, match=r"needs onnxruntime: pip install onnxruntime"):
        quantize_bundle(whole, videos, tmp_path / "b", QuantizeOptions())


def test_unreadable_videos_are_left_out(whole, graph, layers, videos, tmp_path, caplog):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    chosen = [layer for layer in layers if layer.kind == "full"]
    taken = CalibrationVideos(whole, [videos[0], broken, videos[1]], 3)
    found = measure(whole, graph, chosen, taken)
    assert found.num_videos == 2 and taken.unreadable == {broken}
    assert "left out of the calibration" in caplog.text and "2 videos are few" in caplog.text
    with pytest.raises(DataError, match="none of the 1 calibration videos can be read"):
        quantize_bundle(whole, [broken], tmp_path / "b", QuantizeOptions())
    assert not (tmp_path / "b").exists()


def test_the_tool(whole, videos, tmp_path):
    bundle = shutil.copytree(whole.folder, tmp_path / "mine")
    done = run(
        "quantize.py", "--model_dir", bundle, "--calibration", videos[0].parent, "--weights_only",
        "--num_videos", 2, "--search_videos", 1, "--keep_float", "dense,pointwise",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "conv000" in done.stdout and "folder" in done.stdout and "states" not in done.stdout
    assert "2 read, 0 unreadable" in done.stdout
    assert load_predictor(tmp_path / "mine_int8", device="cpu")(videos[0]).label in LABELS
    done = run("quantize.py", "--model_dir", bundle, "--calibration", "none", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == "error: none: no such file or folder\n"
    bad = ["--weights_only", "--range_method", "mse"]
    done = run(
        "quantize.py", "--model_dir", bundle, "--calibration", videos[0].parent, *bad, cwd=tmp_path
    )
    assert done.returncode == 1 and "--range_method has no effect here" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("weights_only", [True, False])
def test_a0_with_600_classes_is_small(videos, tmp_path, weights_only):
    """4.5 MB at most for the whole folder, with the layers in float that the search keeps."""
    model = randomise(paddlevideo.create_model("movinet_a0_stream", num_classes=600)).eval()
    made = ExportOptions(formats=("onnx",))
    bundle = export_model(model, STREAM_PIPELINE, tmp_path / "a0", "A0", None, made)
    options = QuantizeOptions(weights_only=weights_only, num_videos=2, search_videos=1)
    folder = quantize_bundle(bundle, videos, tmp_path / "int8", options).bundle.folder
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 4.5e6
