"""Small .tflite files, made without TensorFlow.

Of a step: a frame and a state are added, logits are their means; frame uint8 [1, 2, 4, 3], state
float32 [1, 2, 4, 3] and count int32 [1] in, channels last; logits [1, 3], new_state and new_count
out. Of a clip: clip uint8 [1, 2, 2, 4, 3] in; logits [1, 3] out, the means of its pixels.
"""

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

INPUTS, OUTPUTS = ("frame", "state", "count"), ("logits", "new_state", "new_count")
MAP = (1, 2, 4, 3)
CLIP = (1, 2, 2, 4, 3)
_TENSORS = {
    "frame": (MAP, "UINT8"), "state": (MAP, "FLOAT32"), "count": ((1,), "INT32"),
    "pixels": (MAP, "FLOAT32"), "new_state": (MAP, "FLOAT32"), "logits": ((1, 3), "FLOAT32"),
    "new_count": ((1,), "INT32"), "one": ((1,), "INT32"), "axes": ((2,), "INT32"),
}  # fmt: skip
_CONSTANTS = {"one": [1], "axes": [1, 2], "clip_axes": [1, 2, 3]}
_OPERATIONS = (
    ("CAST", ("frame",), "pixels", "CastOptions"),
    ("ADD", ("pixels", "state"), "new_state", "AddOptions"),
    ("MEAN", ("new_state", "axes"), "logits", "ReducerOptions"),
    ("ADD", ("count", "one"), "new_count", "AddOptions"),
)


def write_sums(path: Path, signature: str = "channels_last", width: int = MAP[2]) -> Path:
    """Write the file of a step.

    Args:
        width: of the frame and the state.
    """
    tensors = {
        name: ((1, 2, width, 3) if shape == MAP else shape, kind)
        for name, (shape, kind) in _TENSORS.items()
    }
    return _write(path, tensors, _OPERATIONS, (INPUTS, OUTPUTS), signature)


def write_means(path: Path) -> Path:
    """Write the file of a clip."""
    tensors = {
        "clip": (CLIP, "UINT8"), "pixels": (CLIP, "FLOAT32"), "logits": ((1, 3), "FLOAT32"),
        "clip_axes": ((3,), "INT32"),
    }  # fmt: skip
    operations = (
        ("CAST", ("clip",), "pixels", "CastOptions"),
        ("MEAN", ("pixels", "clip_axes"), "logits", "ReducerOptions"),
    )
    return _write(path, tensors, operations, (("clip",), ("logits",)), "channels_last")


def _write(path, tensors, operations, ends, signature):
    names, (inputs, outputs) = list(tensors), ends
    model = schema.ModelT()
    model.version, model.description = 3, "small"
    model.buffers = [schema.BufferT()]
    model.subgraphs = [schema.SubGraphT()]
    graph = model.subgraphs[0]
    graph.tensors = [_tensor(name, *each, model.buffers) for name, each in tensors.items()]
    graph.inputs = [names.index(name) for name in inputs]
    graph.outputs = [names.index(name) for name in outputs]
    kinds = sorted({kind for kind, *_ in operations})
    model.operatorCodes = [_code(kind) for kind in kinds]
    graph.operators = []
    for kind, read, output, options in operations:
        operation = schema.OperatorT()
        operation.opcodeIndex = kinds.index(kind)
        operation.inputs = [names.index(name) for name in read]
        operation.outputs = [names.index(output)]
        operation.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operation.builtinOptions = getattr(schema, f"{options}T")()
        graph.operators.append(operation)
    signed = schema.SignatureDefT()
    signed.signatureKey, signed.subgraphIndex = signature, 0
    signed.inputs = [_mapped(name, names.index(name)) for name in inputs]
    signed.outputs = [_mapped(name, names.index(name)) for name in outputs]
    model.signatureDefs = [signed]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _tensor(name, shape, kind, buffers):
    tensor = schema.TensorT()
    tensor.name, tensor.shape = name, list(shape)
    tensor.type = getattr(schema.TensorType, kind)
    tensor.buffer = 0
    if name in _CONSTANTS:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.array(_CONSTANTS[name], np.int32).tobytes(), np.uint8)
        tensor.buffer = len(buffers)
        buffers.append(buffer)
    return tensor


def _code(kind):
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = 1
    return code


def _mapped(name, index):
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry
