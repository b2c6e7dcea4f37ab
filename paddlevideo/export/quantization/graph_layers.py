"""The convolutions of a step program, and which of them can be computed with integers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from paddlevideo.export.onnx_weights import stored_values

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

Kind = Literal["full", "pointwise", "depthwise", "tap", "dense"]
KINDS: tuple[Kind, ...] = ("full", "pointwise", "depthwise", "tap", "dense")
_INTEGER_KINDS = ("full", "pointwise", "depthwise")
_ACTIVATIONS = ("Clip", "Relu")  # that integers take with the convolution before them


@dataclass(frozen=True)
class Layer:
    """One convolution.

    Attributes:
        name: ``conv000`` and so on, in the order of the file.
        kind: ``full``, ``pointwise`` and ``depthwise`` are of a map; ``tap`` is one frame's part
            of a convolution over time; ``dense`` is of a pooled vector: gates and the classifier.
        shape: of the kernel.
        input, weight, bias, output: names of tensors; bias may be None.
        measured_output: behind the activation, where that is one that integers take along.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    input: str
    weight: str
    bias: str | None
    output: str
    measured_output: str

    @property
    def can_be_integer(self) -> bool:
        """Taps read states, which stay float; with pooled vectors there is little to gain."""
        return self.kind in _INTEGER_KINDS

    @property
    def is_worth_it(self) -> bool:
        """Taps are a few weights each: float16 does for them."""
        return self.kind != "tap"


def find_layers(model: "ModelProto") -> list[Layer]:
    """Every convolution of an ``onnx.ModelProto`` with a constant kernel, in order."""
    import onnx

    weights = stored_values(model)
    inferred = onnx.shape_inference.infer_shapes(model).graph
    sizes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    layers: list[Layer] = []
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[1] in weights:
            shape = tuple(weights[node.input[1]].shape)
            groups = next((item.i for item in node.attribute if item.name == "group"), 1)
            layers.append(
                Layer(
                    name=f"conv{len(layers):03d}",
                    kind=_kind(shape, groups, sizes.get(node.output[0], [])),
                    shape=shape,
                    input=node.input[0],
                    weight=node.input[1],
                    bias=node.input[2] if len(node.input) > 2 else None,
                    output=node.output[0],
                    measured_output=_behind_activation(model.graph, node.output[0]),
                )
            )
    return layers


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
