"""The compiled engine: its kernels against NumPy, its reading of graphs, threads and refusals."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("numba")
onnx = pytest.importorskip("onnx")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from modeling.conftest import randomise, relative_error  # noqa: E402

import paddlevideo  # noqa: E402
from paddlevideo.export import ExportOptions, export_model  # noqa: E402
from paddlevideo.runtime.engines import EngineOptions, engines_of, open_engine  # noqa: E402
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine, can_compile  # noqa: E402
from paddlevideo.runtime.engines.compiled.products import panels_of  # noqa: E402
from paddlevideo.runtime.engines.compiled.simd import LANES  # noqa: E402
from paddlevideo.runtime.streams.step_runner import StepRunner  # noqa: E402
from paddlevideo.utils.errors import BundleError, DeviceError  # noqa: E402
from runtime.conftest import PIPELINE  # noqa: E402

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("paddle2onnx")

CPU = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")
CHANNELS = st.one_of(st.integers(1, 4 * LANES + 3), st.sampled_from([LANES, 3 * LANES]))


def node(kind, inputs, output, **attributes):
    return onnx.helper.make_node(kind, inputs, [output], **attributes)


def save(path, nodes, inputs, outputs, constants):
    """An ONNX file; inputs and outputs are name: (shape of a stream, kind)."""

    def infos(items):
        return [
            onnx.helper.make_tensor_value_info(name, kind, ["batch", *shape])
            for name, (shape, kind) in items.items()
        ]

    tensors = [
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    ]
    graph = onnx.helper.make_graph(nodes, "g", infos(inputs), infos(outputs), tensors)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def agree(path, feeds, threads=1):
    """The file's results here are ONNX Runtime's."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    options = EngineOptions(device="cpu", cpu_threads=threads, engine="compiled")
    ours = CompiledEngine(path, names, options).run(feeds)
    for name, expected in zip(names, session.run(None, feeds), strict=True):
        assert ours[name].shape == expected.shape and ours[name].dtype == expected.dtype
        # Numbers of order 1 are added up: what is left of them may be 0, or nearly.
        tolerance = 1e-6 + 1e-5 * np.abs(expected).max()
        assert np.abs(ours[name].astype(float) - expected).max() < tolerance, name


FLOAT, UINT8, INT32 = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.UINT8,
    onnx.TensorProto.INT32,
)


def floats(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


@given(channels=st.integers(1, 700), widest=st.integers(1, 3))
def test_panels_cover_all_channels(channels, widest):
    covered = np.zeros(max(channels, LANES), bool)
    for first, vectors in panels_of(channels, widest):
        assert 1 <= vectors <= widest and first >= 0
        assert first + vectors * LANES <= max(channels, LANES)
        covered[first : first + vectors * LANES] = True
    assert covered[:channels].all()


@settings(max_examples=40, deadline=None)
@given(
    inner=CHANNELS,
    outer=CHANNELS,
    side=st.integers(1, 9),
    batch=st.integers(1, 6),
    act=st.sampled_from(["none", "hard_swish", "gate", "relu6"]),
    shortcut=st.booleans(),
    seed=st.integers(0, 99),
)
def test_dense_layers(tmp_path_factory, inner, outer, side, batch, act, shortcut, seed):
    """Products of every width, with bias, shortcut and activation, for every number of pixels."""
    rng = np.random.default_rng(seed)
    constants = {"w": floats(rng, outer, inner, 1, 1), "b": floats(rng, outer)}
    nodes, last = [node("Conv", ["x", "w", "b"], "c", kernel_shape=[1, 1])], "c"
    if shortcut:
        nodes.append(node("Add", ["s", last], "sum"))
        last = "sum"
    if act in ("hard_swish", "gate"):
        nodes.append(node("HardSigmoid", [last], "g", alpha=0.16667, beta=0.5))
        if act == "hard_swish":
            nodes.append(node("Mul", [last, "g"], "y"))
    elif act == "relu6":
        constants |= {"low": np.float32(0), "high": np.float32(6)}
        nodes.append(node("Clip", [last, "low", "high"], "y"))
    result = {"none": last, "gate": "g"}.get(act, "y")
    shapes = {"x": ((inner, side, side), FLOAT), "s": ((outer, side, side), FLOAT)}
    feeds = {"x": floats(rng, batch, inner, side, side), "s": floats(rng, batch, outer, side, side)}
    if not shortcut:
        del shapes["s"], feeds["s"]
    path = tmp_path_factory.mktemp("dense") / "a.onnx"
    save(path, nodes, shapes, {result: ((outer, side, side), FLOAT)}, constants)
    agree(path, feeds, threads=1 + seed % 2)


@settings(max_examples=40, deadline=None)
@given(
    channels=CHANNELS,
    size=st.tuples(st.integers(3, 13), st.integers(3, 13)),
    kernel=st.sampled_from([1, 2, 3, 5]),
    stride=st.sampled_from([1, 2]),
    pads=st.tuples(*[st.integers(0, 2)] * 4),
    batch=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_depthwise_layers_and_pools(
    tmp_path_factory, channels, size, kernel, stride, pads, batch, seed
):
    """A depthwise convolution, the average pool of the same window, and the mean of the map."""
    rng = np.random.default_rng(seed)
    size = tuple(max(length, kernel) for length in size)
    pads = [min(pad, max(kernel - 1, 0)) for pad in pads]
    window = {"kernel_shape": [kernel, kernel], "strides": [stride, stride], "pads": pads}
    nodes = [
        node("Conv", ["x", "w", "b"], "c", group=channels, **window),
        node("AveragePool", ["x"], "p", count_include_pad=0, **window),
        node("GlobalAveragePool", ["c"], "m"),
        node("Mul", ["c", "m"], "y"),
    ]
    constants = {"w": floats(rng, channels, 1, kernel, kernel), "b": floats(rng, channels)}
    made = [
        (length + pads[axis] + pads[axis + 2] - kernel) // stride + 1
        for axis, length in enumerate(size)
    ]
    outputs = {name: ((channels, *made), FLOAT) for name in ("p", "y")}
    path = tmp_path_factory.mktemp("depthwise") / "a.onnx"
    save(path, nodes, {"x": ((channels, *size), FLOAT)}, outputs, constants)
    agree(path, {"x": floats(rng, batch, channels, *size)})


@settings(max_examples=20, deadline=None)
@given(channels=CHANNELS, taps=st.integers(1, 7), side=st.integers(1, 7), seed=st.integers(0, 99))
def test_sums_over_time(tmp_path_factory, channels, taps, side, seed):
    """A chain of additions of 1x1 depthwise convolutions of several maps."""
    rng = np.random.default_rng(seed)
    nodes, constants, last = [], {}, ""
    for tap in range(taps):
        constants |= {f"w{tap}": floats(rng, channels, 1, 1, 1), f"b{tap}": floats(rng, channels)}
        nodes.append(
            node("Conv", [f"x{tap}", f"w{tap}", f"b{tap}"], f"c{tap}", group=channels,
                 kernel_shape=[1, 1])
        )  # fmt: skip
        if last:
            nodes.append(node("Add", [last, f"c{tap}"], f"s{tap}"))
        last = f"s{tap}" if last else f"c{tap}"
    shape = (channels, side, side)
    path = tmp_path_factory.mktemp("sums") / "a.onnx"
    inputs = {f"x{tap}": (shape, FLOAT) for tap in range(taps)}
    save(path, nodes, inputs, {last: (shape, FLOAT)}, constants)
    agree(path, {name: floats(rng, 2, *shape) for name in inputs})


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [3, LANES + 3, 2 * LANES])
def test_a_frame_is_scaled_shifted_and_convolved(tmp_path, dtype, channels):
    """The padding of a shifted frame is still zero; counters and small functions beside it."""
    rng = np.random.default_rng(0)
    constants = {
        "w": floats(rng, channels, 3, 3, 3),
        "offset": floats(rng, 1, 3, 1, 1),
        "one": np.full((1, 1, 1, 1), 1, np.int32),
        "rate": floats(rng, 1, channels, 1, 1),
    }
    nodes = [
        node("Cast", ["frame"], "f", to=FLOAT),
        node("Add", ["f" if dtype == "uint8" else "frame", "offset"], "o"),
        node("Conv", ["o", "w"], "y", kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 1, 1]),
        node("Add", ["count", "one"], "next"),
        node("Cast", ["count"], "number", to=FLOAT),
        node("Mul", ["number", "rate"], "angle"),
        node("Sin", ["angle"], "sine"),
        node("Cos", ["angle"], "cosine"),
        node("Concat", ["sine", "cosine"], "both", axis=1),
        node("Sigmoid", ["both"], "gate"),
        node("Mul", ["both", "gate"], "silu"),
    ][0 if dtype == "uint8" else 1 :]
    kind = UINT8 if dtype == "uint8" else FLOAT
    inputs = {"frame": ((3, 12, 13), kind), "count": ((1, 1, 1), INT32)}
    outputs = {
        "y": ((channels, 6, 7), FLOAT),
        "next": ((1, 1, 1), INT32),
        "silu": ((2 * channels, 1, 1), FLOAT),
    }
    path = save(tmp_path / "a.onnx", nodes, inputs, outputs, constants)
    frame = rng.integers(0, 256, (3, 3, 12, 13)).astype(dtype)
    agree(path, {"frame": frame, "count": np.array([0, 5, 9], np.int32).reshape(3, 1, 1, 1)})


REFUSED = {
    "Tanh": [node("Tanh", ["x"], "y")],
    "groups": [node("Conv", ["x", "w"], "y", group=2, kernel_shape=[1, 1])],
    "counts its padding": [
        node("AveragePool", ["x"], "y", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)
    ],
    "but of channels": [node("Concat", ["x", "x"], "y", axis=1)],
    "dilations": [node("AveragePool", ["x"], "y", kernel_shape=[2, 2], ceil_mode=1)],
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_it_does_not_know_is_refused_by_name(tmp_path, what):
    constants = {"w": np.ones((4, 2, 1, 1), np.float32)}
    shape = ((4, 5, 5), FLOAT)
    path = save(tmp_path / "a.onnx", REFUSED[what], {"x": shape}, {"y": shape}, constants)
    assert not can_compile(path)
    with pytest.raises(BundleError, match=rf"cannot run .*{what}.*--engine onnxruntime"):
        CompiledEngine(path, ["y"], CPU)


def test_what_does_not_fit_its_tables_is_refused(tmp_path):
    """Compiled code would write beyond them."""
    nodes = [node("Conv", ["x", "w"], "c0", group=4, kernel_shape=[1, 1])]
    for tap in range(1, 33):
        nodes.append(node("Conv", ["x", "w"], f"c{tap}", group=4, kernel_shape=[1, 1]))
        nodes.append(node("Add", [f"s{tap - 1}" if tap > 1 else "c0", f"c{tap}"], f"s{tap}"))
    shape = ((4, 20, 20), FLOAT)
    many = {"w": np.ones((4, 1, 1, 1), np.float32)}
    path = save(tmp_path / "sum.onnx", nodes, {"x": shape}, {"s32": shape}, many)
    with pytest.raises(BundleError, match="a sum of 33 maps"):
        CompiledEngine(path, ["y"], CPU)
    wide = {"w": np.ones((4, 1, 17, 17), np.float32)}
    nodes = [node("Conv", ["x", "w"], "y", group=4, kernel_shape=[17, 17])]
    path = save(tmp_path / "k.onnx", nodes, {"x": shape}, {"y": ((4, 4, 4), FLOAT)}, wide)
    with pytest.raises(BundleError, match="a kernel of 17"):
        CompiledEngine(path, ["y"], CPU)


def test_files_and_devices_it_refuses(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"a.onnx cannot be read as ONNX"):
        CompiledEngine(tmp_path / "a.onnx", ["y"], CPU)
    with pytest.raises(BundleError, match=r"b.onnx is missing"):
        CompiledEngine(tmp_path / "b.onnx", ["y"], CPU)
    with pytest.raises(DeviceError, match="runs on the CPU"):
        CompiledEngine(tmp_path / "a.onnx", ["y"], EngineOptions(device="gpu"))
    with pytest.raises(DeviceError, match="runs on the CPU"):
        CompiledEngine(tmp_path / "a.onnx", ["y"], EngineOptions(use_tensorrt=True))


# --- a whole network


@pytest.fixture(scope="module", params=["movinet_a0_stream", "movinet_a2_stream"])
def bundle(request, tmp_path_factory):
    model = randomise(paddlevideo.create_model(request.param, num_classes=7)).eval()
    folder = tmp_path_factory.mktemp("compiled") / "bundle"
    return export_model(model, PIPELINE, folder, "m", None, ExportOptions(formats=("onnx",)))


def test_many_streams_on_two_threads_are_as_each_alone(bundle):
    """Eleven streams make groups of several sizes on each thread; each has its own past."""
    video = np.random.default_rng(0).integers(0, 256, (5, 11, 3, 32, 32), np.uint8)
    two = EngineOptions(device="cpu", cpu_threads=2, engine="compiled")
    together = StepRunner(bundle, two, 11)
    logits = [together.step(frames) for frames in video]
    for stream in (0, 4, 10):
        alone = StepRunner(bundle, CPU, 1)
        for frames, expected in zip(video, logits, strict=True):
            got = alone.step(np.ascontiguousarray(frames[stream : stream + 1]))
            assert relative_error(got[0], expected[stream]) < 1e-5


def test_results_stay_as_they_are(bundle):
    """Memory is used again only where nobody holds the tensor: snapshots and logits stay."""
    runner = StepRunner(bundle, CPU, 1)
    video = np.random.default_rng(1).integers(0, 256, (8, 1, 3, 32, 32), np.uint8)
    runner.step(video[0])
    states, kept = runner.snapshot(), []
    copies = {name: value.copy() for name, value in states.items()}
    first = [runner.step(frame) for frame in video[1:]]
    kept = [logits.copy() for logits in first]
    for name, value in states.items():
        np.testing.assert_array_equal(value, copies[name])
    runner.restore(states)
    for frame, logits, copy in zip(video[1:], first, kept, strict=True):
        np.testing.assert_array_equal(runner.step(frame), copy)
        np.testing.assert_array_equal(logits, copy)


def test_memory_does_not_grow(bundle):
    """After a few steps every result lies where an earlier one lay."""
    engine = open_engine(bundle.step_files, CPU)
    inputs = {
        name: engine.tensor(np.zeros((1, *shape), dtype))
        for name, shape, dtype in engine.expected_inputs
    }
    seen = set()
    for _ in range(20):
        outputs = engine.run_tensors(inputs)
        seen |= {tensor.address(0, None) for tensor in outputs.values()}
    assert len(seen) <= 2 * len(outputs)


def test_engines_of_a_bundle(bundle):
    assert engines_of(bundle.step_files) == ["paddle", "onnxruntime", "compiled"]
    assert engines_of(bundle.clip_files) == ["paddle", "onnxruntime", "compiled"]


def test_a_step_of_another_size_is_refused(bundle):
    engine = open_engine(bundle.step_files, CPU)
    feeds = {name: np.zeros((1, *shape), dtype) for name, shape, dtype in engine.expected_inputs}
    with pytest.raises(BundleError, match=r"cannot run on frame \[1, 3, 8, 8\] uint8; it is for"):
        engine.run({**feeds, "frame": np.zeros((1, 3, 8, 8), np.uint8)})


def test_threads_share_an_engine(bundle):
    """Runners of one engine in several threads: weights are there once, states apart."""
    engine = open_engine(bundle.step_files, CPU)
    assert engine.thread_safe
    videos = np.random.default_rng(3).integers(0, 256, (4, 6, 1, 3, 32, 32), np.uint8)

    def last_logits(video, engine):
        runner = StepRunner(bundle, CPU, 1, engine)
        return [runner.step(frame) for frame in video][-1]

    expected = [last_logits(video, None) for video in videos]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            found = list(threads.map(lambda video: last_logits(video, engine), videos))
            np.testing.assert_array_equal(found, expected)
