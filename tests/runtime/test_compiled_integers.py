"""The compiled engine on 8 bits: against ONNX Runtime, its own NumPy form, and in each form."""

import numpy as np
import pytest

pytest.importorskip("numba")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from numba import njit  # noqa: E402
from onnx import TensorProto  # noqa: E402

from paddlevideo.export.onnx_weights import store_weights  # noqa: E402
from paddlevideo.runtime.engines.base import UnsupportedProgramError  # noqa: E402
from paddlevideo.runtime.engines.compiled import integer_choice  # noqa: E402
from paddlevideo.runtime.engines.compiled.engine import (  # noqa: E402
    CompiledEngine,
    read_program,
)
from paddlevideo.runtime.engines.compiled.integer_layout import packed_fours  # noqa: E402
from paddlevideo.runtime.engines.compiled.integer_simd import FORM, moved_by  # noqa: E402
from paddlevideo.runtime.engines.compiled.integer_tiles import (  # noqa: E402
    integer_span,
    integer_tile,
)
from paddlevideo.runtime.engines.compiled.integer_windows import packed_taps  # noqa: E402
from paddlevideo.runtime.engines.compiled.simd import LANES  # noqa: E402
from runtime.rounded_files import CPU, Rounded, agree  # noqa: E402

CHANNELS = st.one_of(st.integers(1, 3 * LANES + 5), st.sampled_from([LANES, 4 * LANES]))
ZEROS = st.sampled_from([0, 1, 77, 128, 255])


@settings(max_examples=25, deadline=None)
@given(
    inner=CHANNELS, outer=CHANNELS, side=st.integers(1, 7), batch=st.integers(1, 5), zero=ZEROS,
    out_zero=ZEROS, act=st.sampled_from(["none", "relu6", "hard_swish"]),
    shortcut=st.sampled_from(["none", "bytes", "floats"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_dense(
    tmp_path_factory, patch, inner, outer, side, batch, zero, out_zero, act, shortcut, seed
):
    """All that follows a product, at every zero point; a channel of the largest weights clips.

    The scales are no simple fractions of each other, which would make many exact halves.
    """
    file = Rounded(seed)
    shape = (outer, side, side)
    x = file.round(file.input("x", (inner, side, side)), 0.03, zero)
    weights = file.weights("c", (outer, inner, 1, 1), 0.03)
    last = file.node("Conv", [x, *weights], "c", kernel_shape=[1, 1])
    scale = 0.01 * np.sqrt(inner)
    if act == "relu6":
        file.constants |= {"low": np.float32(0), "high": np.float32(2)}
        last = file.node("Clip", [last, "low", "high"], "a")
    last = file.round(last, scale, out_zero)
    feeds = {"x": file.rng.standard_normal((batch, inner, side, side)).astype(np.float32) * 2}
    if act == "hard_swish":
        gate = file.node("HardSigmoid", [last], "g", alpha=1 / 6, beta=0.5)
        last = file.round(file.node("Mul", [last, gate], "h"), scale, out_zero)
    elif shortcut != "none":
        other = file.input("s", shape)
        feeds["s"] = file.rng.standard_normal((batch, *shape)).astype(np.float32)
        other = file.round(other, 0.02, 100) if shortcut == "bytes" else other
        last = file.round(file.node("Add", [last, other], "sum"), 1.5371 * scale, out_zero)
    path = file.save(tmp_path_factory.mktemp("dense") / "a.onnx", {last: shape})
    agree(patch, path, feeds, 1.5371 * scale, ["integer_dense"])


@settings(max_examples=25, deadline=None)
@given(
    channels=CHANNELS, size=st.tuples(st.integers(5, 21), st.integers(5, 21)),
    kernel=st.sampled_from([3, 5]), stride=st.sampled_from([1, 2]),
    pads=st.tuples(*[st.integers(0, 2)] * 4), zero=ZEROS, state=st.booleans(),
    expand=st.booleans(), batch=st.integers(1, 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_depthwise(
    tmp_path_factory, patch, channels, size, kernel, stride, pads, zero, state, expand, batch, seed
):
    """Windows with padding, of wide rows with the expansion before them; also given as floats."""
    file = Rounded(seed)
    inner = 7 if expand else channels
    x = file.round(file.input("x", (inner, *size)), 0.02, zero)
    if expand:
        weights = file.weights("e", (channels, inner, 1, 1), 0.02)
        x = file.round(file.node("Conv", [x, *weights], "e", kernel_shape=[1, 1]), 0.02, zero)
    weights = file.weights("d", (channels, 1, kernel, kernel), 0.02)
    file.node("Conv", [x, *weights], "d", kernel_shape=[kernel, kernel], group=channels,
              strides=[stride, stride], pads=list(pads))  # fmt: skip
    file.constants |= {"low": np.float32(0), "high": np.float32(6)}
    file.node("Clip", ["d", "low", "high"], "c")
    last = file.round("c", 6 / 255, 0)
    rows, columns = (
        (length + pads[axis] + pads[axis + 2] - kernel) // stride + 1
        for axis, length in enumerate(size)
    )
    shape = (channels, rows, columns)
    outputs = {last: shape, "c": shape} if state else {last: shape}
    path = file.save(tmp_path_factory.mktemp("depthwise") / "a.onnx", outputs)
    feeds = {"x": file.rng.standard_normal((batch, inner, *size)).astype(np.float32)}
    agree(patch, path, feeds, 6 / 255, ["integer_depthwise"])


@settings(max_examples=15, deadline=None)
@given(
    channels=CHANNELS, size=st.tuples(st.integers(5, 18), st.integers(5, 18)),
    stride=st.sampled_from([1, 2]), zero=ZEROS, whole=st.booleans(),
    given_as=st.sampled_from(["bytes", "floats", "both"]), batch=st.integers(1, 3),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_hard_swish_behind_convolutions(
    tmp_path_factory, patch, channels, size, stride, zero, whole, given_as, batch, seed
):
    """Behind a rounded convolution of a map or of a frame: rounded again, as floats, or both."""
    file, inner = Rounded(seed), 3 if whole else channels
    if whole:
        file.input("x", (3, *size), TensorProto.UINT8)
        pixels = file.node("Cast", ["x"], "pixels", to=TensorProto.FLOAT)
        x, scale = file.round(pixels, 1.0, 0), 3.0
    else:
        x, scale = file.round(file.input("x", (channels, *size)), 0.02, zero), 0.03
    weights = file.weights("d", (channels, 3 if whole else 1, 3, 3), 1.0 if whole else 0.02, 3)
    file.node("Conv", [x, *weights], "d", kernel_shape=[3, 3], group=1 if whole else channels,
              strides=[stride, stride], pads=[1] * 4)  # fmt: skip
    last = file.round("d", scale, 128)
    gate = file.node("HardSigmoid", [last], "g", alpha=1 / 6, beta=0.5)
    file.node("Mul", [last, gate], "h")
    shape = (channels, *((length - 1) // stride + 1 for length in size))
    outputs = {"h": shape} if given_as != "bytes" else {}
    if given_as != "floats":
        outputs[file.round("h", scale, zero)] = shape
    path = file.save(tmp_path_factory.mktemp("swish") / "a.onnx", outputs)
    feeds = {"x": file.rng.standard_normal((batch, inner, *size)).astype(np.float32)}
    if whole:
        feeds = {"x": file.rng.integers(0, 256, (batch, 3, *size), np.uint8)}
    assert "function" not in {item.kind for item in read_program(path).operations}
    agree(patch, path, feeds, scale, ["integer_convolution" if whole else "integer_depthwise"])


@settings(max_examples=10, deadline=None)
@given(
    channels=st.sampled_from([8, LANES, 24]), kernel=st.sampled_from([3, 5]),
    side=st.integers(9, 24), zero=ZEROS, batch=st.integers(1, 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_frames_sums_means_and_gates(
    tmp_path_factory, patch, channels, kernel, side, zero, batch, seed
):
    """The convolution of a frame; pools; a sum over past frames; a mean; a product with a gate."""
    file = Rounded(seed)
    file.input("frame", (3, side, side), TensorProto.UINT8)
    pixels = file.round(file.node("Cast", ["frame"], "pixels", to=TensorProto.FLOAT), 1.0, 0)
    weights = file.weights("f", (channels, 3, kernel, kernel), 1.0, largest=3)
    file.node("Conv", [pixels, *weights], "f", kernel_shape=[kernel] * 2, strides=[2, 2],
              pads=[0, 1, 1, 1])  # fmt: skip
    f = file.round("f", 3.0, zero)
    sides = ((side + 1 - kernel) // 2 + 1, (side + 2 - kernel) // 2 + 1)
    shape = (channels, *sides)
    state = file.input("state", shape)
    taps = file.rng.standard_normal((2, channels, 1, 1, 1)).astype(np.float32)
    file.constants |= {"t0": taps[0], "t1": taps[1]}
    file.node("Conv", [f, "t0"], "now", group=channels)
    file.node("Conv", [state, "t1"], "then", group=channels)
    total = file.node("Add", ["now", "then"], "total")
    summed = file.round(total, 4.0, 128)
    file.node("GlobalAveragePool", [summed], "mean")
    file.node("Sigmoid", ["mean"], "gate")
    gated = file.round(file.node("Mul", [total, "gate"], "gated"), 4.0, 128)
    pooled = file.node("AveragePool", [f], "pool", kernel_shape=[2, 2], pads=[0, 0, 1, 1],
                       count_include_pad=0)  # fmt: skip
    outputs = {summed: shape, gated: shape, "mean": (channels, 1, 1),
               file.round(pooled, 2.9173, zero): shape}  # fmt: skip
    path = file.save(tmp_path_factory.mktemp("frames") / "a.onnx", outputs)
    feeds = {
        "frame": file.rng.integers(0, 256, (batch, 3, side, side), np.uint8),
        "state": 100 * file.rng.standard_normal((batch, *shape)).astype(np.float32),
    }
    agree(patch, path, feeds, 4.0, ["integer_convolution", "mixed_sum", "integer_mean",
                                    "integer_average", "integer_scale"])  # fmt: skip


@pytest.mark.parametrize("storage", ["int8", "float16"])
@pytest.mark.parametrize(("inner", "outer"), [(40, 30), (70, 2 * LANES + 5), (64, 9 * LANES)])
def test_stored_weights_of_one_pixel(tmp_path, patch, storage, inner, outer):
    """Gates and classifier read int8 or float16; the result is that of their floats."""
    file = Rounded(inner)
    file.input("x", (inner, 1, 1))
    weights = file.rng.standard_normal((outer, inner, 1, 1)).astype(np.float32)
    file.constants |= {"w": weights, "b": np.arange(outer, dtype=np.float32)}
    file.constants |= {"low": np.float32(0), "high": np.float32(60)}
    file.node("Conv", ["x", "w", "b"], "c", kernel_shape=[1, 1])
    file.node("Clip", ["c", "low", "high"], "y")
    path = file.save(tmp_path / "a.onnx", {"y": (outer, 1, 1)})
    model = onnx.load(str(path))
    store_weights(model, lambda name, _array: storage if name == "w" else "float32")
    onnx.save(model, str(path))
    assert read_program(path).operations[0].stored.numbers.dtype == storage
    feeds = {"x": file.rng.standard_normal((3, inner, 1, 1)).astype(np.float32)}
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    patch.setenv("PADDLEVIDEO_CHECK", "1")
    for _ in range(2):
        found = CompiledEngine(path, ["y"], CPU).run(feeds)["y"]
        np.testing.assert_allclose(found, session.run(None, feeds)[0], rtol=1e-4, atol=1e-4)
        patch.setenv("PADDLEVIDEO_CHECK", "0")


def test_it_is_the_same_in_floats(tmp_path):
    """Where floats are faster, the same file runs in float32 with the same roundings."""
    file = Rounded(5)
    x = file.round(file.input("x", (20, 6, 6)), 0.03, 100)
    weights = file.weights("c", (33, 20, 1, 1), 0.03)
    last = file.round(file.node("Conv", [x, *weights], "c", kernel_shape=[1, 1]), 0.05, 90)
    path = file.save(tmp_path / "a.onnx", {last: (33, 6, 6)})
    assert {item.kind for item in read_program(path, integers=False).operations} == {
        "quantize", "dequantize", "dense",
    }  # fmt: skip
    feeds = {"x": file.rng.standard_normal((2, 20, 6, 6)).astype(np.float32)}
    results = []
    for faster in (True, False):
        with pytest.MonkeyPatch.context() as context:
            name = "paddlevideo.runtime.engines.compiled.integer_choice.integers_are_faster"
            context.setattr(name, lambda run, faster=faster: faster)
            engine = CompiledEngine(path, [last], CPU)
        assert engine.arithmetic == ("8-bit integers" if faster else "float32")
        results.append(engine.run(feeds)[last])
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("change", ["signed", "several scales", "another scale", "tiny scale"])
def test_other_roundings_are_refused(tmp_path, change):
    file = Rounded(1)
    last = file.round(file.input("x", (4, 3, 3)), 0.03, 100)
    if change == "signed":
        file.constants["x_z"] = np.int8(3)
    elif change == "several scales":
        file.constants |= {"x_s": np.full(4, 0.1, np.float32), "x_z": np.zeros(4, np.uint8)}
    elif change == "another scale":
        file.constants["other"] = np.float32(0.5)
        file.nodes[-1].input[1] = "other"
    else:
        file.constants["x_s"] = np.float32(1e-35)
    path = file.save(tmp_path / "a.onnx", {last: (4, 3, 3)})
    with pytest.raises(UnsupportedProgramError):
        read_program(path)


@pytest.mark.parametrize("form", sorted({FORM, "pairs", "plain"}))
def test_each_form_of_products_is_exact(form):
    """Sums of the largest numbers, which 16 bits do not hold, and roundings that clip."""
    tile, span = integer_tile(2, 2, form), integer_span(5, 2, form)

    @njit
    def run_tile(a, lda, b, steps, c, ldc, bias, factors, limits):
        tile(a, lda, b, steps, c, ldc, bias, factors, limits, 0, 0, b)

    @njit
    def run_span(rows, pixel, w, ldw, y, ldy, count, bias, factors, limits):
        span(rows, 0, pixel, w, ldw, y, ldy, count, bias, factors, limits)

    rng = np.random.default_rng(0)
    depth, channels = 27, 2 * LANES
    a = rng.integers(0, 256, (2, 28), np.uint8)
    w = rng.integers(-128, 128, (depth, channels)).astype(np.int8)
    a[0], w[:, 0], w[:, 1] = 255, -128, 127
    packed, _ = packed_fours(w, 2)
    bias = rng.integers(-999, 999, channels).astype(np.int32)
    moved = moved_by(form)
    made_up = (bias + moved * w.sum(axis=0, dtype=np.int64)).astype(np.int32)
    factors, limits = np.full(channels, 2e-3, np.float32), np.float32([-100, 90, 130])
    sums, bytes_ = np.zeros((2, channels), np.int32), np.zeros((2, channels + LANES), np.uint8)
    at = [each.ctypes.data for each in (a, packed, sums, bytes_, made_up, factors, limits)]
    run_tile(at[0], 28, at[1], 7, at[2], 4 * channels, at[4], at[5], 0)
    run_tile(at[0], 28, at[1], 7, at[3], channels + LANES, at[4], at[5], at[6])
    expected = a[:, :depth].astype(np.int64) @ w + bias
    np.testing.assert_array_equal(sums, expected)
    steps = np.rint(np.clip(expected.astype(np.float32) * factors, -100, 90)) + 130
    np.testing.assert_array_equal(bytes_[:, :channels], steps)

    x = rng.integers(0, 256, (5, 9, LANES), np.uint8)
    taps = rng.integers(-128, 128, (25, LANES)).astype(np.int8)
    x[..., 0], taps[:, 0] = 255, -128
    fours = packed_taps(taps, 5)
    rows = np.array([row.ctypes.data for row in x], np.int64)
    found = np.zeros((3, LANES), np.int32)
    made_up = bias[:LANES] + np.int32(moved) * taps.sum(axis=0, dtype=np.int32)
    at = [each.ctypes.data for each in (rows, fours, found)]
    run_span(at[0], LANES, at[1], 4 * LANES, at[2], 4 * LANES, 3, made_up.ctypes.data,
             factors.ctypes.data, 0)  # fmt: skip
    seen = np.stack([x[:, first : first + 5].reshape(25, LANES) for first in (0, 2, 4)])
    expected = (seen.astype(np.int64) * taps).sum(axis=1) + bias[:LANES]
    np.testing.assert_array_equal(found, expected)


def test_what_is_faster_is_tried_once(monkeypatch):
    """Two engines of a process are of one kind, so that their answers have the same bits."""
    seconds = iter([1.0, 2.0, 2.0, 1.0])
    monkeypatch.setattr(integer_choice, "_seconds", lambda _run, _integers: next(seconds))

    def loop():
        """Stands for the compiled loop."""

    assert [integer_choice.integers_are_faster(loop) for _ in range(2)] == [True, True]
