"""What is changed in a file after TensorFlow's converter, on files made by hand."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="the extra litert is not installed")
import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from paddlevideo.export.tflite_script import LiteFile

MAP, OUT = (1, 4, 4, 8), 6
STEP, ZERO = 0.05, -10
RNG = np.random.default_rng(0)
WHOLE = RNG.integers(-127, 128, (OUT, 1, 1, 8)).astype(np.int8)
WHOLE[:, 0, 0, 0] = 127
SCALES = np.linspace(0.001, 0.01, OUT).astype(np.float32)
KERNEL = WHOLE * SCALES.reshape(-1, 1, 1, 1)


def tensor(name, shape, kind, buffer=0, quantised=False):
    made = schema.TensorT()
    made.name, made.shape, made.buffer = name, list(shape), buffer
    made.type = vars(schema.TensorType)[kind]
    if quantised:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [STEP], [ZERO]
    return made


def operator(code, inputs, output, options=None):
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
    if options is not None:
        made.builtinOptionsType, made.builtinOptions = options
    return made


def convolution():
    options = schema.Conv2DOptionsT()
    options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
    return schema.BuiltinOptions.Conv2DOptions, options


def small_file(kernel: np.ndarray) -> bytes:
    """int8 -> hard swish on 8 bits -> floats -> a 1x1 convolution of floats."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    model.buffers = [schema.BufferT() for _ in range(3)]
    for index, values in ((1, kernel.astype(np.float32)), (2, np.zeros(OUT, np.float32))):
        model.buffers[index].data = np.frombuffer(values.tobytes(), np.uint8)
    graph.tensors = [
        tensor(b"x", MAP, "INT8", quantised=True), tensor(b"s", MAP, "INT8", quantised=True),
        tensor(b"f", MAP, "FLOAT32"), tensor(b"k", kernel.shape, "FLOAT32", 1),
        tensor(b"b", (OUT,), "FLOAT32", 2), tensor(b"y", (*MAP[:3], OUT), "FLOAT32"),
    ]  # fmt: skip
    graph.operators = [
        operator(0, [0], 1), operator(1, [1], 2), operator(2, [2, 3, 4], 5, convolution())
    ]  # fmt: skip
    return packed(model, (("HARD_SWISH", 1), ("DEQUANTIZE", 2), ("CONV_2D", 1)))


def scaling_file(bias: np.ndarray) -> bytes:
    """A depthwise convolution of 1x1 with relu6."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs = 3, [graph]
    model.buffers = [schema.BufferT() for _ in range(3)]
    for index, values in ((1, KERNEL[0]), (2, bias)):
        model.buffers[index].data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
    graph.tensors = [
        tensor(b"x", MAP, "FLOAT32"), tensor(b"k", (1, 1, 1, MAP[3]), "FLOAT32", 1),
        tensor(b"b", (MAP[3],), "FLOAT32", 2), tensor(b"y", MAP, "FLOAT32"),
    ]  # fmt: skip
    options = schema.DepthwiseConv2DOptionsT()
    options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
    options.depthMultiplier = 1
    options.fusedActivationFunction = schema.ActivationFunctionType.RELU6
    kind = schema.BuiltinOptions.DepthwiseConv2DOptions
    graph.operators = [operator(0, [0, 1, 2], 3, (kind, options))]
    return packed(model, (("DEPTHWISE_CONV_2D", 1),))


def packed(model, operations) -> bytes:
    """The bytes of a file whose first tensor goes in and whose last comes out."""
    (graph,) = model.subgraphs
    graph.inputs, graph.outputs = [0], [len(graph.tensors) - 1]
    model.operatorCodes = []
    for name, version in operations:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = vars(schema.BuiltinOperator)[name]
        code.version = version
        model.operatorCodes.append(code)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def answer(data: bytes, x: np.ndarray) -> tuple[np.ndarray, Interpreter]:
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), interpreter


def test_hard_swish_in_floats_and_kernels_on_8_bits():
    """Nearer to the formula than before, and a kernel of a quarter of the bytes."""
    x = RNG.integers(-128, 128, MAP).astype(np.int8)
    floats = (x.astype(np.float64) - ZERO) * STEP
    swish = floats * np.clip(floats + 3, 0, 6) / 6
    rounded = (np.clip(np.rint(swish / STEP) + ZERO, -128, 127) - ZERO) * STEP
    expected = rounded @ KERNEL[:, 0, 0].T
    data = small_file(KERNEL)
    changed = LiteFile(data).rewritten(of_integers=True)
    given, interpreter = answer(changed, x)
    spread = np.ptp(expected)
    assert np.abs(given - expected).max() <= 1e-2 * spread  # inputs are rounded while it runs
    stored = [each for each in interpreter.get_tensor_details() if each["name"] == "k"]
    assert stored[0]["dtype"] == np.int8
    np.testing.assert_allclose(stored[0]["quantization_parameters"]["scales"], SCALES, rtol=1e-6)
    kinds = [each["op_name"] for each in interpreter._get_ops_details()]
    assert kinds[:4] == ["DEQUANTIZE", "HARD_SWISH", "QUANTIZE", "DEQUANTIZE"]


def test_a_kernel_that_is_not_on_8_bits_stays():
    kernel = RNG.normal(size=KERNEL.shape)
    model = schema.Model.GetRootAs(LiteFile(small_file(kernel)).rewritten(of_integers=True), 0)
    assert model.Subgraphs(0).Tensors(3).Type() == schema.TensorType.FLOAT32


@pytest.mark.parametrize("bias, kind", [(0.0, "MUL"), (0.5, "DEPTHWISE_CONV_2D")])
def test_numbers_of_channels_are_products(bias, kind):
    """The same bits; where something is added it stays a convolution."""
    data = scaling_file(np.full(MAP[3], bias))
    x = RNG.normal(size=MAP).astype(np.float32) * 9
    changed, interpreter = answer(LiteFile(data).rewritten(of_integers=False), x)
    assert interpreter._get_ops_details()[0]["op_name"] == kind
    expected = np.clip(x * KERNEL[0].astype(np.float32).reshape(-1) + bias, 0, 6)
    np.testing.assert_allclose(changed, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(changed, answer(data, x)[0])
