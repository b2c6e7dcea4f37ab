"""Depthwise convolutions of small maps as products: the same numbers, where it is faster."""

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from paddlevideo.export.web.small_windows import multiply_small_windows


def network(channels, rows, columns, kernel, stride, pads, dilation=1, group=None, bias=True):
    """One convolution [1, C, H, W] -> ``y``, and the shapes of its values."""
    rng = np.random.default_rng(0)
    group = group or channels
    taps = rng.normal(size=(channels, channels // group, kernel, kernel)).astype(np.float32)
    weights = [onnx.numpy_helper.from_array(taps, "w")]
    if bias:
        weights.append(onnx.numpy_helper.from_array(taps[:, 0, 0, 0].copy(), "b"))
    node = onnx.helper.make_node(
        "Conv", ["x", *[item.name for item in weights]], ["y"], kernel_shape=[kernel] * 2,
        strides=[stride] * 2, pads=pads, dilations=[dilation] * 2, group=group,
    )  # fmt: skip
    values = [onnx.helper.make_tensor_value_info("x", 1, [1, channels, rows, columns]),
              onnx.helper.make_tensor_value_info("y", 1, list("nchw"))]  # fmt: skip
    graph = onnx.helper.make_graph([node], "one", values[:1], values[1:], weights)
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    reach = dilation * (kernel - 1) + 1
    high, wide = rows + pads[0] + pads[2] - reach, columns + pads[1] + pads[3] - reach
    after = [1, channels, high // stride + 1, wide // stride + 1]
    return model, {"x": [1, channels, rows, columns], "y": after}


def run(model, x, level=99):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(level)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(["y"], {"x": x})[0]


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 9), st.integers(1, 7), st.integers(1, 7), st.sampled_from([5, 7]),
    st.integers(1, 2), st.lists(st.integers(0, 3), min_size=4, max_size=4), st.integers(1, 2),
    st.booleans(),
)  # fmt: skip
def test_the_same_numbers(channels, rows, columns, kernel, stride, pads, dilation, bias):
    model, shapes = network(channels, rows, columns, kernel, stride, pads, dilation, bias=bias)
    assume(min(shapes["y"]) > 0)
    x = np.random.default_rng(1).normal(size=shapes["x"]).astype(np.float32)
    expected = run(model, x)
    assert list(expected.shape) == shapes["y"]
    before = model.ByteSize()
    multiply_small_windows(model, shapes)
    onnx.checker.check_model(model, full_check=True)
    assert "MatMul" in {node.op_type for node in model.graph.node}
    assert model.ByteSize() < before + 4 * (rows * columns) ** 2 + 3000
    for level in (0, 99):
        np.testing.assert_allclose(run(model, x, level), expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    "given",
    [
        {"kernel": 3, "pads": [1] * 4},  # for which there is a kernel
        {"rows": 8, "columns": 8},  # too large
        {"group": 1}, {"group": 2},
    ],
)  # fmt: skip
def test_others_stay(given):
    plain = {"channels": 4, "rows": 6, "columns": 6, "kernel": 5, "stride": 1, "pads": [2] * 4}
    model, shapes = network(**{**plain, **given})
    before = model.SerializeToString()
    multiply_small_windows(model, shapes)
    assert model.SerializeToString() == before


def test_weights_that_are_computed_and_unknown_shapes_stay():
    model, shapes = network(4, 6, 6, 5, 1, [2] * 4)
    before = model.SerializeToString()
    multiply_small_windows(model, {**shapes, "x": [0, 4, 6, 6]})
    multiply_small_windows(model, {"x": shapes["x"]})
    assert model.SerializeToString() == before
    del model.graph.initializer[:]
    multiply_small_windows(model, shapes)
    assert [node.op_type for node in model.graph.node] == ["Conv"]
