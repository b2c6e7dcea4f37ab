"""The rewriting of ONNX graphs before they are converted to TFLite, held against ONNX Runtime."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from paddlevideo.export.onnx_one_clip import CLIPS_KEY, of_one_clip
from paddlevideo.export.onnx_roundings import (
    read_past_as_given,
    read_rounded,
    with_float_weights,
)
from paddlevideo.export.tflite_script import CLIPS_KEY as SCRIPTS_KEY
from paddlevideo.utils.errors import BundleError

FRAMES, CHANNELS, SIDE = 4, 3, 5
ROW = CHANNELS * SIDE * SIDE


def run(model, **inputs) -> list[np.ndarray]:
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs)


def model_of(nodes, inputs, outputs, constants):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def clip_model(first: str = "Reshape"):
    """A convolution over time as our programs have it: maps moved by a frame, and a mean of all."""
    make = helper.make_node
    shape = (FRAMES, CHANNELS, SIDE, SIDE)
    nodes = [
        make("Reshape", ["clip", "frames"], ["pixels"]),
        make("Conv", ["pixels", "kernel"], ["maps"]),
        make("Reshape", ["maps", "flat"], ["rows"]),
        make("Slice", ["rows", "0", "last", "axis"], ["cut"]),
        make("Concat", ["zeros", "cut"], ["later"], axis=1),
        make("Reshape", ["later", "frames"], ["moved"]),
        make("Add", ["maps", "moved"], ["sums"]),
        make("GlobalAveragePool", ["sums"], ["pooled"]),
        make("Reshape", ["pooled", "vectors"], ["by_frame"]),
        make("MatMul", ["mean", "by_frame"], ["whole"]),
        make("Reshape", ["whole", "answer"], ["logits"]),
    ]
    if first != "Reshape":
        nodes[0] = make(first, ["clip"], ["clip_2"])
        nodes.insert(1, make("Reshape", ["clip_2", "frames"], ["pixels"]))
    rng = np.random.default_rng(0)
    constants = {
        "frames": shape, "flat": (1, FRAMES, ROW), "vectors": (1, FRAMES, CHANNELS),
        "answer": (1, CHANNELS), "0": [0], "last": [FRAMES - 1], "axis": [1],
        "zeros": np.zeros((1, 1, ROW), np.float32),
        "kernel": rng.random((CHANNELS, CHANNELS, 1, 1), np.float32),
        "mean": np.full((1, FRAMES), 1 / FRAMES, np.float32),
    }  # fmt: skip
    inputs = [("clip", TensorProto.FLOAT, (1, *shape))]
    return model_of(nodes, inputs, [("logits", TensorProto.FLOAT, (1, CHANNELS))], constants)


def test_one_clip_is_its_frames():
    """The same numbers, and no map is flattened any more."""
    model = clip_model()
    clip = np.random.default_rng(1).random((1, FRAMES, CHANNELS, SIDE, SIDE), np.float32)
    (expected,) = run(model, clip=clip)
    of_one_clip(model)
    np.testing.assert_array_equal(run(model, clip=clip[0])[0], expected)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == ["Conv", "Slice", "Concat", "Add", "GlobalAveragePool", "Reshape", "MatMul",
                     "Reshape"]  # fmt: skip
    (entry,) = model.metadata_props
    assert (entry.key, entry.value) == (CLIPS_KEY, "clip") and CLIPS_KEY == SCRIPTS_KEY


def test_a_clip_that_is_not_read_by_frames():
    with pytest.raises(BundleError, match="reads clip with Relu, not frame by frame"):
        of_one_clip(clip_model("Relu"))


def rounded_model():
    """A pool and a convolution of what is rounded for the convolution alone."""
    make = helper.make_node
    nodes = [
        make("QuantizeLinear", ["x", "step", "zero"], ["x_uint8"]),
        make("DequantizeLinear", ["x_uint8", "step", "zero"], ["x_rounded"]),
        make("DequantizeLinear", ["kernel", "steps", "zeros"], ["weights"], axis=0),
        make("Conv", ["x_rounded", "weights"], ["y"]),
        make("AveragePool", ["x"], ["pooled"], kernel_shape=[2, 2]),
        make("QuantizeLinear", ["pooled", "small", "zero"], ["p_uint8"]),
        make("DequantizeLinear", ["p_uint8", "small", "zero"], ["p"]),
    ]
    kernel = np.random.default_rng(0).integers(-127, 128, (4, 2, 1, 1), np.int8)
    constants = {
        "step": np.float32(0.02), "small": np.float32(0.01), "zero": np.uint8(100),
        "kernel": kernel, "steps": np.arange(1, 5, dtype=np.float32), "zeros": np.zeros(4, np.int8),
    }  # fmt: skip
    outputs = [("y", TensorProto.FLOAT, (1, 4, 3, 3)), ("p", TensorProto.FLOAT, (1, 2, 2, 2))]
    return model_of(nodes, [("x", TensorProto.FLOAT, (1, 2, 3, 3))], outputs, constants)


def test_weights_are_floats_and_all_read_what_is_rounded():
    """Weights lose nothing; a pool rounds to the steps of what it takes, which it takes rounded."""
    model = rounded_model()
    x = np.random.default_rng(1).normal(size=(1, 2, 3, 3)).astype(np.float32)
    expected, _ = run(model, x=x)
    with_float_weights(model)
    np.testing.assert_array_equal(run(model, x=x)[0], expected)
    assert {entry.name for entry in model.graph.initializer} == {
        "step", "small", "zero", "weights"
    }  # fmt: skip
    read_rounded(model)
    convolved, pooled = run(model, x=x)
    np.testing.assert_array_equal(convolved, expected)
    steps = np.clip(np.rint(x / 0.02), -100, 155)
    means = np.stack(
        [steps[..., i : i + 2, j : j + 2].mean((2, 3)) for i in (0, 1) for j in (0, 1)]
    )
    np.testing.assert_allclose(pooled.reshape(2, 4).T, np.rint(means)[:, 0] * 0.02, atol=0.021)
    on_steps = pooled / np.float32(0.02)
    np.testing.assert_allclose(on_steps, np.rint(on_steps), atol=1e-4)


def kept_model():
    """A stream that keeps one map on 8 bits; its frame is rounded to the same steps by its own."""
    make = helper.make_node
    numbers, others = ["step", "zero"], ["frame_step", "zero"]
    nodes = [
        make("QuantizeLinear", ["past", *numbers], ["past_uint8"]),
        make("DequantizeLinear", ["past_uint8", *numbers], ["past_rounded"]),
        make("QuantizeLinear", ["frame", *others], ["frame_uint8"]),
        make("DequantizeLinear", ["frame_uint8", *others], ["frame_rounded"]),
        make("Relu", ["frame_rounded"], ["map"]),
        make("QuantizeLinear", ["map", *numbers], ["new_uint8"]),
        make("DequantizeLinear", ["new_uint8", *numbers], ["new_past"]),
        make("Add", ["past_rounded", "new_past"], ["sum"]),
    ]
    value = (TensorProto.FLOAT, (1, 2, 3, 3))
    constants = {"step": np.float32(0.3), "frame_step": np.float32(0.3), "zero": np.uint8(7)}
    inputs = [("past", *value), ("frame", *value)]
    return model_of(nodes, inputs, [("sum", *value), ("new_past", *value)], constants)


def test_the_past_is_read_as_it_is_given():
    """It lies on the steps that it was made with; the frame does not, and is rounded."""
    model, rounded = kept_model(), kept_model()
    read_past_as_given(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == ["QuantizeLinear", "DequantizeLinear", "Relu", "QuantizeLinear",
                     "DequantizeLinear", "Add"]  # fmt: skip
    assert list(model.graph.node[-1].input) == ["past", "new_past"]
    rng = np.random.default_rng(2)
    past = other_past = np.zeros((1, 2, 3, 3), np.float32)
    for _ in range(4):
        frame = rng.normal(size=(1, 2, 3, 3)).astype(np.float32)
        total, past = run(model, past=past, frame=frame)
        expected, other_past = run(rounded, past=other_past, frame=frame)
        np.testing.assert_array_equal(total, expected)
