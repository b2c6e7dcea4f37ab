"""Convert an ONNX file to TFLite; run as a script by a Python that has onnx2tf and TensorFlow.

python tflite_script.py PROGRAM.onnx PROGRAM.tflite fp32|fp16|int8

The shapes of the ONNX file are fixed. The TFLite file has one signature, ``channels_last``, with
the names of the ONNX file's inputs and outputs: tensors of four axes [B, C, H, W] are [B, H, W, C]
in it, all others are as they were. An input that the ONNX file's metadata calls a clip,
[T, C, H, W], is [1, T, H, W, C]. For ``int8`` the ONNX file says by ``QuantizeLinear`` and
``DequantizeLinear`` what is rounded, and its weights are floats. What is made is compared with ONNX
Runtime before it is written, since converters settle the order of axes by rules of thumb. Nothing
of our package is imported: that Python does not have it.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow
    from ai_edge_litert.schema_py_generated import OperatorT, TensorT
    from onnx import GraphProto
    from onnx_graphsurgeon import Node

    Made = dict[str, dict[str, object]]  # what onnx2tf knows of each tensor, by name

SIGNATURE = "channels_last"
CLIPS_KEY = "clips"  # of the metadata: names with commas
# onnx2tf looks for this one in the working directory before it asks for it on the internet.
_PIXELS_FILE, _PIXELS_SHAPE = (
    "calibration_image_sample_data_20x128x128x3_float32.npy", (20, 128, 128, 3),
)  # fmt: skip
# Of the largest number of each output, for int8 of the mean. Axes in a wrong order give differences
# of about 1.
_TOLERANCE = {"fp32": 1e-4, "fp16": 5e-2, "int8": 0.1}
_SMALL = 1e-2  # what rounding took from a sum is an output too, and another in every engine
_SAME = 1e-3  # of a step: what is left of it when an integer has been a float
_COUNTED = 3  # what a counter of frames holds while the two are compared


def convert(source: Path, target: Path, precision: str) -> None:
    """Write ``source`` as ``target``, the weights in ``precision``.

    Raises:
        ValueError: what was made does not compute what ``source`` does, or has other axes.
    """
    import onnx

    source, target = source.resolve(), target.resolve()
    model = onnx.load(str(source))
    inputs = _inputs(model.graph)
    expected = _answers(source, inputs)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    clips = set(filter(None, facts.get(CLIPS_KEY, "").split(",")))
    has_roundings = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        np.save(_PIXELS_FILE, np.random.default_rng(0).random(_PIXELS_SHAPE, np.float32))
        saved = _saved(source, expected, clips, folder)
        data = _written(saved, precision, has_roundings)
        os.chdir(target.parent)
    given = {n: last(array)[None] if n in clips else last(array) for n, array in inputs.items()}
    _compare(data, given, expected, precision)
    target.write_bytes(data)


def _inputs(graph: "GraphProto") -> dict[str, np.ndarray]:
    """Random numbers for every input."""
    from onnx import helper

    rng, found = np.random.default_rng(0), {}
    for value in graph.input:
        kind = value.type.tensor_type
        shape = [dim.dim_value for dim in kind.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if dtype == np.uint8:
            found[value.name] = rng.integers(0, 256, shape, np.uint8)
        elif dtype.kind in "iu":
            found[value.name] = np.full(shape, _COUNTED, dtype)
        else:
            found[value.name] = rng.random(shape).astype(dtype)
    return found


def _answers(source: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Its rewriting of graphs rounds float weights, too, where what they are multiplied by is.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(source), options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _saved(
    source: Path, expected: Mapping[str, np.ndarray], clips: Collection[str], folder: str
) -> str:
    """The folder of TensorFlow's program."""
    import onnx2tf
    import tensorflow as tf

    _keep_roundings()
    # onnxsim would be a program to be found; the file is simple already.
    model = onnx2tf.convert(
        input_onnx_file_path=str(source), output_folder_path=folder, not_use_onnxsim=True,
        non_verbose=True, disable_model_save=True,
    )  # fmt: skip
    module = tf.Module()
    module.model = model
    module.run = _named(model, expected, clips)
    tf.saved_model.save(module, folder, signatures={SIGNATURE: module.run})
    return folder


def _written(saved: str, precision: str, has_roundings: bool) -> bytes:
    """The TFLite file of TensorFlow's program."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved, signature_keys=[SIGNATURE])
    if precision == "fp16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT] * has_roundings
    return LiteFile(converter.convert()).rewritten(precision == "int8")


def _keep_roundings() -> None:
    """Let onnx2tf make of ``QuantizeLinear`` what TensorFlow's converter takes for ranges.

    Its own way are five float operations, which stay five float operations.
    """
    import tensorflow as tf
    from onnx2tf.ops import DequantizeLinear, QuantizeLinear
    from onnx2tf.utils.common_functions import inverted_operation_enable_disable

    def add(node: "Node", tensors: "Made", made: object) -> None:
        output = node.outputs[0]
        facts = {"optype": node.op, "shape": output.shape, "dtype": np.float32, "tf_node": made}
        tensors[output.name] = facts

    @inverted_operation_enable_disable
    def rounded(*, graph_node: "Node", tf_layers_dict: "Made", **_: object) -> None:
        source, scale, zero = graph_node.inputs
        step, low = float(scale.values), -float(zero.values)
        made = tf.quantization.fake_quant_with_min_max_args(
            tf_layers_dict[source.name]["tf_node"], min=step * low, max=step * (low + 255)
        )
        add(graph_node, tf_layers_dict, made)

    @inverted_operation_enable_disable
    def back(*, graph_node: "Node", tf_layers_dict: "Made", **_: object) -> None:
        add(graph_node, tf_layers_dict, tf_layers_dict[graph_node.inputs[0].name]["tf_node"])

    QuantizeLinear.make_node, DequantizeLinear.make_node = rounded, back


def _named(
    model: "tensorflow.Module", expected: Mapping[str, np.ndarray], clips: Collection[str]
) -> "Callable[..., dict[str, tensorflow.Tensor]]":
    """The network as a function of named tensors that gives named tensors."""
    import tensorflow as tf

    shapes = {each.name.partition(":")[0]: tuple(each.shape) for each in model.inputs}
    outer = {name: (1, *shape) if name in clips else shape for name, shape in shapes.items()}
    types = [each.dtype for each in model.inputs]
    specs = [tf.TensorSpec(s, t, n) for (n, s), t in zip(outer.items(), types, strict=True)]

    def run(*tensors: "tensorflow.Tensor") -> "dict[str, tensorflow.Tensor]":
        frames = zip(tensors, shapes.items(), strict=True)
        given = model([tf.reshape(t, s) if n in clips else t for t, (n, s) in frames])
        outputs = given if isinstance(given, list | tuple) else [given]
        named = dict(zip(expected, outputs, strict=True))
        return {name: _channels_last(tensor, name, expected) for name, tensor in named.items()}

    return tf.function(run, input_signature=specs)


def _channels_last(
    tensor: "tensorflow.Tensor", name: str, expected: Mapping[str, np.ndarray]
) -> "tensorflow.Tensor":
    """An output with its axes in the order that the signature promises."""
    import tensorflow as tf

    array = expected[name]
    if tuple(tensor.shape) == last(array).shape:
        return tensor
    if tuple(tensor.shape) == array.shape:
        return tf.transpose(tensor, (0, 2, 3, 1))
    raise ValueError(f"{name} is {list(tensor.shape)}, expected {list(last(array).shape)}")


def last(array: np.ndarray) -> np.ndarray:
    """[B, C, H, W] as [B, H, W, C]; arrays of other axes as they are."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _compare(
    data: bytes,
    inputs: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    precision: str,
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=data).get_signature_runner(SIGNATURE)
    shapes = {name: tuple(each["shape"]) for name, each in runner.get_input_details().items()}
    wanted = {name: array.shape for name, array in inputs.items()}
    if shapes != wanted:
        differing = sorted(k for k in {*shapes, *wanted} if shapes.get(k) != wanted.get(k))
        raise ValueError(f"its inputs are not those of the ONNX file: {', '.join(differing)}")
    outputs = runner(**{name: np.ascontiguousarray(array) for name, array in inputs.items()})
    # Roundings that lie on a border go either way, and others follow: of 8 bits the mean counts.
    what, amount = ("mean", np.mean) if precision == "int8" else ("largest number", np.max)
    for name, array in expected.items():
        apart = float(amount(np.abs(outputs[name].astype(np.float64) - last(array))))
        size = float(amount(np.abs(array)))
        if not apart <= _TOLERANCE[precision] * max(size, _SMALL):  # not a number is wrong too
            raise ValueError(
                f"{name} of the TFLite file differs from the ONNX file's by {apart:.1e}, its "
                f"{what} is {size:.1e}"
            )


class LiteFile:
    """A TFLite file, changed where the converter does not know what LiteRT is fast at.

    Args:
        data: of the file.
    """

    def __init__(self, data: bytes) -> None:
        from ai_edge_litert import schema_py_generated

        self._schema = schema_py_generated
        root = schema_py_generated.Model.GetRootAs(data, 0)
        self._model = schema_py_generated.ModelT.InitFromObj(root)
        (self._graph,) = self._model.subgraphs

    def rewritten(self, of_integers: bool) -> bytes:
        """The file.

        Args:
            of_integers: store weights on 8 bits, and leave hard swishes in float32.
        """
        import flatbuffers

        self._scale_by_products()
        if of_integers:
            self._float_hard_swish()
            self._integer_kernels()
        self._forget_unused()
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _scale_by_products(self) -> None:
        """Write depthwise convolutions of 1x1, which are one number a channel, as products.

        They are the parts of a convolution over time, 39 in A0: a step takes 0.95 of the time.
        """
        kinds, tensors = self._schema.BuiltinOperator, self._graph.tensors
        codes = self._model.operatorCodes
        for operator in self._graph.operators:
            if codes[operator.opcodeIndex].builtinCode != kinds.DEPTHWISE_CONV_2D:
                continue
            kernel, bias = (self._floats(index) for index in operator.inputs[1:])
            source, output = tensors[operator.inputs[0]], tensors[operator.outputs[0]]
            if kernel is None or bias is None or bias.any():
                continue
            if kernel.shape[1:3] != (1, 1) or list(source.shape) != list(output.shape):
                continue
            options = self._schema.MulOptionsT()
            options.fusedActivationFunction = operator.builtinOptions.fusedActivationFunction
            operator.opcodeIndex = self._code(kinds.MUL, 1)
            operator.inputs = list(operator.inputs[:2])
            operator.builtinOptionsType = self._schema.BuiltinOptions.MulOptions
            operator.builtinOptions = options

    def _floats(self, index: int) -> np.ndarray | None:
        """A constant of float32, None where the tensor is none."""
        tensor = self._graph.tensors[index]
        data = self._model.buffers[tensor.buffer].data
        if data is None or tensor.type != self._schema.TensorType.FLOAT32:
            return None
        return np.asarray(data).view(np.float32).reshape(tensor.shape)

    def _float_hard_swish(self) -> None:
        """Bring what hard swish takes back from 8 bits, and round what it gives.

        XNNPACK has it for floats alone; TFLite's own for integers is slow, rounds twice, and cuts
        the graph into pieces.
        """
        kinds, operators = self._schema.BuiltinOperator, []
        hard_swish = self._code(kinds.HARD_SWISH, 1)
        back, rounding = self._code(kinds.DEQUANTIZE, 2), self._code(kinds.QUANTIZE, 1)
        floats: dict[int, int] = {}
        for operator in self._graph.operators:
            source, output = operator.inputs[0], operator.outputs[0]
            is_integer = self._graph.tensors[output].type == self._schema.TensorType.INT8
            if operator.opcodeIndex != hard_swish or not is_integer:
                operators.append(operator)
                continue
            if source not in floats:
                floats[source] = self._float_of(source)
                operators.append(self._operator(back, source, floats[source]))
            made = self._float_of(output)
            operator.inputs, operator.outputs = [floats[source]], [made]
            operators += [operator, self._operator(rounding, made, output)]
        self._graph.operators = operators

    def _integer_kernels(self) -> None:
        """Store the kernels of 1x1 convolutions of floats as the 8-bit integers that they are.

        LiteRT then rounds what they are multiplied by while it runs, as in files of a dynamic
        range.
        """
        kinds, tensors = self._schema.BuiltinOperator, self._graph.tensors
        # The versions of kernels with a scale a channel and inputs of floats.
        found = {kinds.CONV_2D: 5, kinds.FULLY_CONNECTED: 9}
        codes = self._model.operatorCodes
        for operator in self._graph.operators:
            code = codes[operator.opcodeIndex]
            if code.builtinCode not in found:
                continue
            kernel = self._floats(operator.inputs[1])
            if kernel is None or not _is_dense(kernel.shape):
                continue
            whole, scale_C = _on_8_bits(kernel)
            if whole is not None:
                self._store(tensors[operator.inputs[1]], whole, scale_C)
                code.version = max(code.version, found[code.builtinCode])

    def _store(self, kernel: "TensorT", whole: np.ndarray, scale_C: np.ndarray) -> None:
        kernel.type = self._schema.TensorType.INT8
        kernel.quantization = self._schema.QuantizationParametersT()
        kernel.quantization.scale = scale_C
        kernel.quantization.zeroPoint = np.zeros(len(scale_C), np.int64)
        kernel.quantization.quantizedDimension = 0
        buffer = self._schema.BufferT()
        buffer.data = whole.reshape(-1).view(np.uint8)
        kernel.buffer = len(self._model.buffers)
        self._model.buffers.append(buffer)

    def _forget_unused(self) -> None:
        used = {tensor.buffer for tensor in self._graph.tensors}
        used |= {entry.buffer for entry in self._model.metadata or ()}
        for index, buffer in enumerate(self._model.buffers):
            if index not in used:
                buffer.data = None

    def _float_of(self, index: int) -> int:
        """A new tensor of floats of the same shape; its number."""
        old, new = self._graph.tensors[index], self._schema.TensorT()
        new.name = old.name + b"_float"
        new.shape, new.shapeSignature = old.shape, old.shapeSignature
        new.type, new.buffer = self._schema.TensorType.FLOAT32, 0
        self._graph.tensors.append(new)
        return len(self._graph.tensors) - 1

    def _operator(self, code: int, source: int, output: int) -> "OperatorT":
        made = self._schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, [source], [output]
        return made

    def _code(self, builtin: int, version: int) -> int:
        """The number of an operation in the file's list, added where it is not there."""
        codes = self._model.operatorCodes
        for index, code in enumerate(codes):
            if code.builtinCode == builtin:
                return index
        new = self._schema.OperatorCodeT()
        new.builtinCode, new.version = builtin, version
        new.deprecatedBuiltinCode = min(builtin, 127)
        codes.append(new)
        return len(codes) - 1


def _is_dense(shape: Sequence[int]) -> bool:
    """Of kernels [C_out, 1, 1, C_in] and [C_out, C_in]."""
    return len(shape) == 2 or (len(shape) == 4 and tuple(shape[1:3]) == (1, 1))


def _on_8_bits(kernel: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """The integers of a kernel [C_out, ...] that is on 8 bits a channel, and their scales."""
    largest_C = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
    scale_C = np.where(largest_C > 0, largest_C / 127, 1).astype(np.float32)
    steps = kernel / scale_C.reshape(-1, *(1,) * (kernel.ndim - 1))
    whole = np.rint(steps)
    return (whole.astype(np.int8) if bool(np.abs(steps - whole).max() < _SAME) else None), scale_C


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
    convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
