"""Convert an ONNX file to TFLite; run as a script by a Python that has onnx2tf and TensorFlow.

python tflite_script.py PROGRAM.onnx PROGRAM.tflite fp32|fp16

The shapes of the ONNX file are fixed. The TFLite file has one signature, ``channels_last``, with
the names of the ONNX file's inputs and outputs: tensors of four axes [B, C, H, W] are [B, H, W, C]
in it, all others are as they were. It is compared with ONNX Runtime before it is written, since
converters settle the order of axes by rules of thumb. Nothing of our package is imported: that
Python does not have it.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow
    from onnx import GraphProto

SIGNATURE = "channels_last"
# Of the largest number of each output. Axes in a wrong order give differences of about 1.
_TOLERANCE = {"fp32": 1e-4, "fp16": 5e-2}
_SMALL = 1e-2  # what rounding took from a sum is an output too, and another in every engine
_COUNTED = 3  # what a counter of frames holds while the two are compared


def convert(source: Path, target: Path, precision: str) -> None:
    """Write ``source`` as ``target``, the weights in ``precision``.

    Raises:
        ValueError: what was made does not compute what ``source`` does, or has other axes.
    """
    import onnx

    graph = onnx.load(str(source)).graph
    inputs = _inputs(graph)
    expected = _answers(source, inputs)
    with tempfile.TemporaryDirectory() as folder:
        data = _converted(source, expected, precision, folder)
    _compare(data, inputs, expected, _TOLERANCE[precision])
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

    session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def _converted(
    source: Path, expected: Mapping[str, np.ndarray], precision: str, folder: str
) -> bytes:
    """The TFLite file."""
    import onnx2tf
    import tensorflow as tf

    # onnxsim would be a program to be found; the file is simple already.
    model = onnx2tf.convert(
        input_onnx_file_path=str(source), output_folder_path=folder, not_use_onnxsim=True,
        non_verbose=True, disable_model_save=True,
    )  # fmt: skip
    module = tf.Module()
    module.model = model
    module.run = _named(model, expected)
    tf.saved_model.save(module, folder, signatures={SIGNATURE: module.run})
    converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])
    if precision == "fp16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def _named(
    model: "tensorflow.Module", expected: Mapping[str, np.ndarray]
) -> "Callable[..., dict[str, tensorflow.Tensor]]":
    """The network as a function of named tensors that gives named tensors."""
    import tensorflow as tf

    specs = [tf.TensorSpec(i.shape, i.dtype, i.name.partition(":")[0]) for i in model.inputs]

    def run(*tensors: "tensorflow.Tensor") -> "dict[str, tensorflow.Tensor]":
        given = model(list(tensors))
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
    tolerance: float,
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=data).get_signature_runner(SIGNATURE)
    shapes = {name: tuple(each["shape"]) for name, each in runner.get_input_details().items()}
    wanted = {name: last(array).shape for name, array in inputs.items()}
    if shapes != wanted:
        differing = sorted(k for k in {*shapes, *wanted} if shapes.get(k) != wanted.get(k))
        raise ValueError(f"its inputs are not those of the ONNX file: {', '.join(differing)}")
    outputs = runner(**{name: np.ascontiguousarray(last(array)) for name, array in inputs.items()})
    for name, array in expected.items():
        apart = np.abs(outputs[name].astype(np.float64) - last(array)).max()
        largest = np.abs(array).max()
        if not apart <= tolerance * max(largest, _SMALL):  # not a number is wrong too
            raise ValueError(
                f"{name} of the TFLite file differs from the ONNX file's by {apart:.1e}, its "
                f"largest number is {largest:.1e}"
            )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
    convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
