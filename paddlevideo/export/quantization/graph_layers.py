"""The convolutions of a program, and which of them can be computed with integers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from paddlevideo.export.onnx_weights import stored_values
from paddlevideo.export.quantization.clip_kernels import kernels_over_time

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

Kind = Literal["full", "pointwise", "depthwise", "temporal", "tap", "dense"]
KINDS: tuple[Kind, ...] = ("full", "pointwise", "depthwise", "temporal", "tap", "dense")
_INTEGER_KINDS = ("full", "pointwise", "depthwise", "temporal")
_CLIP_AXES = 5
_ACTIVATIONS = ("Clip", "Relu")  # that integers take with the convolution before them


@dataclass(frozen=True)
class Layer:
    """One convolution.

    Attributes:
        name: ``conv000`` and so on, in the order of the file.
        kind: ``full``, ``pointwise`` and ``depthwise`` are of a map; ``temporal`` is of several
            frames of a clip; ``tap`` is one frame's part of a convolution over time, where the
            others are states; ``dense`` is of a pooled vector: gates and the classifier.
        shape: of the kernel; of ``temporal`` that of one frame.
        input, weight, bias, output: names of tensors; bias may be None.
        measured_output: behind the activation, where that is one that integers take along.
        others: of ``temporal``, the outputs of the convolutions of the other frames, each with the
            name of its kernel.
        rounded: what is on 8 bits for all that read it, where the layer is.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    input: str
    weight: str
    bias: str | None
    output: str
    measured_output: str
    others: tuple[tuple[str, str], ...] = ()
    rounded: tuple[str, ...] = ()

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of its kernels: one, or one for each frame."""
        return (self.weight, *(weight for _, weight in self.others))

    @property
    def can_be_integer(self) -> bool:
        """Taps read states, which stay float; with pooled vectors there is little to gain."""
        return self.kind in _INTEGER_KINDS

    @property
    def is_worth_it(self) -> bool:
        """Taps are a few weights each: float16 does for them."""
        return self.kind != "tap"


def find_layers(model: "ModelProto") -> list[Layer]:
    """Every convolution of an ``onnx.ModelProto`` with a constant kernel, in order.

    In the program of a clip all maps around a layer are rounded, so that they stay on 8 bits from
    one to the next; in a step program sums and what gates take stay floats.
    """
    import onnx

    weights = stored_values(model)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    sizes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    is_clip = any(len(sizes[value.name]) == _CLIP_AXES for value in model.graph.input)
    kernels = kernels_over_time(model.graph) if is_clip else {}
    followers = {name for kernel in kernels.values() for name in kernel.others}
    layers: list[Layer] = []
    for node in model.graph.node:
        made = node.output[0] if node.output else ""
        if node.op_type != "Conv" or node.input[1] not in weights or made in followers:
            continue
        shape = tuple(weights[node.input[1]].shape)
        kernel = kernels.get(made)
        measured = _behind_activation(model.graph, kernel.total if kernel else made)
        around = (node.input[0], measured, _activated(model.graph, measured))
        layers.append(
            Layer(
                name=f"conv{len(layers):03d}",
                kind="temporal" if kernel else _kind(shape, _groups(node), sizes.get(made, [])),
                shape=shape,
                input=node.input[0],
                weight=node.input[1],
                bias=node.input[2] if len(node.input) > 2 else None,
                output=made,
                measured_output=measured,
                others=tuple(kernel.others.items()) if kernel else (),
                rounded=tuple(dict.fromkeys(around)) if is_clip else (measured,),
            )
        )
    return layers


def _groups(node: "NodeProto") -> int:
    return next((int(item.i) for item in node.attribute if item.name == "group"), 1)


def _kind(shape: Sequence[int], groups: int, output_size: Sequence[int]) -> Kind:
    is_single = tuple(shape[2:]) == (1, 1)
    if groups > 1:
        return "tap" if is_single else "depthwise"
    if is_single and tuple(output_size[2:]) == (1, 1):
        return "dense"
    return "pointwise" if is_single else "full"


def _behind_activation(graph: "GraphProto", tensor: str) -> str:
    readers = [node for node in graph.node if tensor in node.input]
    is_output = any(value.name == tensor for value in graph.output)
    if len(readers) == 1 and readers[0].op_type in _ACTIVATIONS and not is_output:
        return str(readers[0].output[0])
    return tensor


def _activated(graph: "GraphProto", tensor: str) -> str:
    """What an activation makes of a tensor, the product with a function of its own too."""
    readers = [node for node in graph.node if tensor in node.input]
    if len(readers) == 1 and readers[0].op_type in ("HardSwish", *_ACTIVATIONS):
        return str(readers[0].output[0])
    functions = {n.output[0] for n in readers if n.op_type in ("Sigmoid", "HardSigmoid")}
    products = [n for n in readers if n.op_type == "Mul" and functions & set(n.input)]
    if len(readers) == 2 and len(products) == 1:
        return str(products[0].output[0])
    return tensor
