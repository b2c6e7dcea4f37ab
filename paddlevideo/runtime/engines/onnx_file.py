"""Read an ONNX file that may be damaged or hostile: what no engine may be given is refused here.

ONNX Runtime takes the sizes of biases and kernels, strides and groups on trust; so what a file says
of them is held against its tensors before any engine sees it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from paddlevideo.utils.errors import BundleError, PaddleVideoError
from paddlevideo.utils.limits import how_to_raise, limit

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

_WINDOWS = ("Conv", "ConvInteger", "QLinearConv", "ConvTranspose",
            "AveragePool", "MaxPool", "LpPool")  # fmt: skip
_PADDED = tuple(kind for kind in _WINDOWS if kind != "ConvTranspose")
_WEIGHTS_AT = {"Conv": 1, "ConvInteger": 1, "ConvTranspose": 1, "QLinearConv": 3}
# How weights are brought back from what they are stored as.
_STORED = ("Cast", "Mul", "Identity", "QuantizeLinear", "DequantizeLinear")
# Field of a tensor that holds its numbers where they are not raw.
_FIELDS = {
    "FLOAT": "float_data", "DOUBLE": "double_data", "INT64": "int64_data",
    "UINT32": "uint64_data", "UINT64": "uint64_data",
    **dict.fromkeys(
        ("INT32", "INT16", "INT8", "UINT16", "UINT8", "BOOL", "FLOAT16", "BFLOAT16"), "int32_data"
    ),
}  # fmt: skip
_BYTES = {"DOUBLE": 8, "INT64": 8, "UINT64": 8, "FLOAT": 4, "INT32": 4, "UINT32": 4,
          "INT16": 2, "UINT16": 2, "FLOAT16": 2, "BFLOAT16": 2}  # fmt: skip


class DamagedProgramError(ValueError):
    """What is wrong with a file; `refusing_damage` says which file it is."""


def shown(text: object) -> str:
    """A value from a file, short enough for a message."""
    return str(text)[:100]


@contextlib.contextmanager
def refusing_damage(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged file raises into a `BundleError` that names the file."""
    try:
        yield
    except PaddleVideoError:
        raise
    # protobuf, onnx and NumPy raise nearly every class of exception on damaged files.
    except Exception as error:  # noqa: BLE001
        why = f"{type(error).__name__} {str(error)[:300]}"
        if isinstance(error, DamagedProgramError):
            why = str(error)
        raise BundleError(f"{path} cannot be read as ONNX: {why}; export the model again") from None


def read_model(path: Path) -> ModelProto:
    """The ``onnx.ModelProto`` of a file; nothing but the file itself is read.

    Raises:
        BundleError: it is damaged, or has parts in other files.
    """
    return checked_model(path)[0]


def read_checked_bytes(path: Path) -> bytes:
    """The file's bytes, for an engine that takes the sizes of operands on trust.

    Raises:
        BundleError: it is damaged, has parts in other files, or asks for maps over the limit.
    """
    import onnx

    model, data = checked_model(path)
    with refusing_damage(path):
        _check_sizes(onnx.shape_inference.infer_shapes(model), onnx)
    return data


def checked_model(path: Path) -> tuple[ModelProto, bytes]:
    """The model and the bytes it was read from."""
    with refusing_damage(path):
        import onnx

        if path.stat().st_size > limit("tensor_bytes"):
            raise DamagedProgramError(f"it is too large; {how_to_raise('tensor_bytes')}")
        data = path.read_bytes()
        model = onnx.ModelProto()
        model.ParseFromString(data)
        _check_opsets(model, onnx)
        _check_tensors(model.graph, onnx)
        if model.functions or model.training_info:
            raise DamagedProgramError("it has functions or training parts")
        for node in model.graph.node:
            _check_node(node, onnx)
        _check_names(model.graph)
        _check_kernels(model.graph)
        for item in (*model.graph.input, *model.graph.output, *model.graph.value_info):
            _check_info(item)
            kind = item.type.tensor_type.elem_type
            if kind not in {onnx.TensorProto.DataType.Value(name) for name in _FIELDS}:
                raise DamagedProgramError(f"{shown(item.name)} has dtype {kind}")
            if any(dim.WhichOneof("value") == "dim_value" and dim.dim_value < 1
                   for dim in item.type.tensor_type.shape.dim):  # fmt: skip
                raise DamagedProgramError(f"{shown(item.name)} has an axis of no length")
        onnx.checker.check_model(model)
    return model, data


def _check_opsets(model: ModelProto, onnx: ModuleType) -> None:
    """One version of the standard's operations, and one that is known here."""
    versions = {("" if entry.domain == "ai.onnx" else entry.domain): entry.version
                for entry in model.opset_import}  # fmt: skip
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != len(model.opset_import) or not 7 <= versions.get("", 0) <= newest:
        raise DamagedProgramError(
            f"its operations are of version {shown(versions.get('', 'unknown'))}, known here are 7 "
            f"to {newest}"
        )


def _check_tensors(graph: GraphProto, onnx: ModuleType) -> None:
    if graph.sparse_initializer:
        raise DamagedProgramError("it has sparse initializers")
    for tensor in graph.initializer:
        check_tensor(tensor, onnx)


def check_tensor(tensor: TensorProto, onnx: ModuleType) -> None:
    """Hold the numbers a tensor has against its shape."""
    name = shown(tensor.name)
    if tensor.data_location != onnx.TensorProto.DEFAULT or tensor.external_data:
        raise DamagedProgramError(f"the numbers of {name} lie in another file")
    known = onnx.TensorProto.DataType.values()
    kind = onnx.TensorProto.DataType.Name(tensor.data_type) if tensor.data_type in known else ""
    field = _FIELDS.get(kind)
    if field is None:
        raise DamagedProgramError(f"{name} has dtype {kind or tensor.data_type}")
    if any(size < 0 for size in tensor.dims) or tensor.HasField("segment"):
        raise DamagedProgramError(f"{name} has shape {shown(list(tensor.dims))}")
    count = math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        fits = len(tensor.raw_data) == count * _BYTES.get(kind, 1)
    else:
        fits = len(getattr(tensor, field)) == count
    if not fits:
        raise DamagedProgramError(f"{name} has not the numbers of {shown(list(tensor.dims))}")


def _check_node(node: NodeProto, onnx: ModuleType) -> None:
    names = [attribute.name for attribute in node.attribute]
    if len(set(names)) != len(names):
        raise DamagedProgramError(f"{shown(node.op_type)} has an attribute twice")
    kinds = onnx.AttributeProto
    allowed = (kinds.INT, kinds.INTS, kinds.FLOAT, kinds.FLOATS, kinds.STRING, kinds.TENSOR)
    for attribute in node.attribute:
        if attribute.type not in allowed or attribute.ref_attr_name:
            raise DamagedProgramError(
                f"{shown(node.op_type)}: attribute {shown(attribute.name)} of a kind that is not "
                "supported"
            )
        if attribute.type == kinds.TENSOR:
            check_tensor(attribute.t, onnx)
    if node.op_type in _WINDOWS:
        values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        _check_window(shown(node.op_type), values)


def _check_window(kind: str, values: dict[str, Any]) -> None:
    """Sizes that engines divide by, or trust to be small."""
    for name in ("strides", "dilations", "kernel_shape"):
        if any(not 1 <= size < 2**16 for size in values.get(name, [])):
            raise DamagedProgramError(f"{kind}: {name} {shown(values[name])}")
    if not 1 <= values.get("group", 1) < 2**31:
        raise DamagedProgramError(f"{kind}: group {shown(values['group'])}")
    kernel, pads = values.get("kernel_shape"), values.get("pads")
    axes: set[float] = {
        len(values[n]) for n in ("strides", "dilations", "kernel_shape") if n in values
    }
    axes |= set() if pads is None else {len(pads) / 2}
    if len(axes) > 1:
        raise DamagedProgramError(f"{kind}: strides, pads and kernel of several numbers of axes")
    if pads is None or kind not in _PADDED:
        return
    if any(not 0 <= pad < 2**16 for pad in pads):
        raise DamagedProgramError(f"{kind}: pads {shown(pads)}")
    if kernel is None:
        return
    dilations = values.get("dilations", [1] * len(kernel))
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    if any(pad >= size for pad, size in zip(pads, reach * 2, strict=True)):
        raise DamagedProgramError(f"{kind}: pads {shown(pads)} of a kernel {shown(kernel)}")


def _check_names(graph: GraphProto) -> None:
    """Every tensor is made once, and before it is read."""
    constants = [tensor.name for tensor in graph.initializer]
    inputs = [item.name for item in graph.input]
    outputs = [item.name for item in graph.output]
    for names, what in ((constants, "constant"), (inputs, "input"), (outputs, "output")):
        if len(set(names)) != len(names) or "" in names:
            raise DamagedProgramError(f"a name of a {what} is empty or there twice")
    known = {*constants, *inputs}
    held = {tensor.name: tensor for tensor in graph.initializer}
    for item in graph.input:
        if item.name in held and not _declares(item, held[item.name]):
            raise DamagedProgramError(f"{shown(item.name)} is not declared as it is")
    for node in graph.node:
        for name in node.input:
            if name and name not in known:
                raise DamagedProgramError(f"{shown(name)} is read before it is made")
        for name in filter(None, node.output):
            if name in known:
                raise DamagedProgramError(f"{shown(name)} is made twice")
            known.add(name)
    if not outputs or not set(outputs) <= known:
        raise DamagedProgramError("it has outputs that nothing makes, or none")


def _check_kernels(graph: GraphProto) -> None:
    """Kernels are constants of at least three axes: onnx and ONNX Runtime read beyond others."""
    axes = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in _WEIGHTS_AT:
            index = _WEIGHTS_AT[node.op_type]
            found = axes.get(node.input[index], 0) if len(node.input) > index else 0
            if found < 3:
                raise DamagedProgramError(
                    f"{node.op_type} with weights that are no constant kernel: "
                    f"{shown(list(node.input))}"
                )
        elif node.op_type == "Constant":
            values = [a.t for a in node.attribute if a.name == "value"]
            if values and node.output:
                axes[node.output[0]] = len(values[0].dims)
        elif (
            node.op_type in _STORED
            and node.output
            and node.input
            and all(name in axes for name in node.input)
        ):
            axes[node.output[0]] = max(axes[name] for name in node.input)


def _declares(item: ValueInfoProto, tensor: TensorProto) -> bool:
    """Whether an input that has a constant for a default is declared like it."""
    kind = item.type.tensor_type
    sizes = [dim.dim_value for dim in kind.shape.dim]
    same = len(sizes) == len(tensor.dims) and all(
        declared in (0, real) for declared, real in zip(sizes, tensor.dims, strict=True)
    )
    return kind.elem_type == tensor.data_type and (same or not kind.HasField("shape"))


def _check_info(item: ValueInfoProto) -> None:
    if item.type.WhichOneof("value") != "tensor_type":
        raise DamagedProgramError(f"{shown(item.name)} is no tensor")
    sizes = [dim.dim_value for dim in item.type.tensor_type.shape.dim]
    if any(size < 0 for size in sizes):
        raise DamagedProgramError(f"{shown(item.name)} has shape {shown(sizes)}")
    if 8 * math.prod(size or 1 for size in sizes) > limit("tensor_bytes"):
        raise DamagedProgramError(
            f"{shown(item.name)} has shape {shown(sizes)}; {how_to_raise('tensor_bytes')}"
        )


def _check_sizes(model: ModelProto, onnx: ModuleType) -> None:
    """Shapes as ONNX infers them: of maps, and of the operands of convolutions."""
    graph = model.graph
    shapes: dict[str, list[int]] = {t.name: list(t.dims) for t in graph.initializer}
    for item in (*graph.input, *graph.output, *graph.value_info):
        _check_info(item)
        if item.type.tensor_type.HasField("shape"):
            sizes = [dim.dim_value for dim in item.type.tensor_type.shape.dim]
            shapes.setdefault(item.name, sizes)
    for node in graph.node:
        if node.op_type == "Conv":
            group = [a.i for a in node.attribute if a.name == "group"]
            known = [shapes.get(name) for name in node.input]
            _check_operands(known, group[0] if group else 1)


def _check_operands(shapes: list[list[int] | None], group: int) -> None:
    x, weight = shapes[0], shapes[1]
    if weight is None:
        return
    # ONNX Runtime reads beyond the sizes of weights of another number of axes.
    if len(weight) < 3 or (x is not None and len(x) != len(weight)):
        raise DamagedProgramError(f"Conv: weights {shown(weight)} over {shown(x)}")
    if 0 in weight:
        return
    if weight[0] % group or (x is not None and x[1:2] not in ([0], [weight[1] * group])):
        raise DamagedProgramError(
            f"Conv: weights {shown(weight)} of {group} groups over {shown(x)}"
        )
    if len(shapes) > 2 and shapes[2] is not None and shapes[2] != [weight[0]]:
        raise DamagedProgramError(f"Conv: a bias {shown(shapes[2])} for weights {shown(weight)}")
