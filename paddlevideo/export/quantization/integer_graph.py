"""Rewrite convolutions of an ONNX graph so that engines compute them with 8-bit integers.

The form is QDQ: ``QuantizeLinear`` and ``DequantizeLinear`` around the float operation, which
engines fuse into an integer one. Activations are uint8 with a zero point, kernels int8 with a scale
for each output channel, biases int32. What is not chosen keeps its float arithmetic. States are
rounded where they are made and where they are read (`rounded_states`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.export.onnx_weights import (
    Storage,
    replace_items,
    store_weights,
    stored_values,
)
from paddlevideo.export.quantization.graph_layers import Layer
from paddlevideo.export.quantization.rounded_states import State, past_on_8_bits, read_past_rounded
from paddlevideo.utils.eight_bits import INT8_LARGEST, Range, symmetric_int8

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_INT32_LARGEST = 2**31 - 1


def quantised_graph(
    model: "ModelProto",
    layers: Sequence[Layer],
    integer: Collection[str],
    ranges: Mapping[str, Range],
    stored: Mapping[str, Storage],
    states: Sequence[State] = (),
) -> "ModelProto":
    """A copy of ``model`` with ``integer`` layers in 8-bit arithmetic and kernels in fewer bytes.

    Args:
        model: an ``onnx.ModelProto`` of float32.
        layers: of that model.
        integer: names of layers to compute with integers.
        ranges: of the tensors around them, and of the outputs of ``states``.
        stored: of the other layers, by name, how to store the kernel; float32 where not named.
        states: to be rounded.
    """
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    read_past_rounded(copy.graph, states)
    writer = _Writer(copy, {**ranges, **_frame_ranges(model)})
    for state in states:
        writer.round_state(state)
    for layer in layers:
        if layer.name in integer:
            writer.rewrite(layer)
    writer.finish()
    storage: dict[str, Storage] = {
        weight: stored[layer.name]
        for layer in layers
        if layer.name in stored and layer.name not in integer
        for weight in layer.weights
    }
    store_weights(copy, lambda name, _array: storage.get(name, "float32"))
    onnx.checker.check_model(copy)
    return copy


def _frame_ranges(model: "ModelProto") -> dict[str, Range]:
    """Of frames of bytes: each byte is a step, whatever was seen, so that nothing is rounded."""
    from onnx import TensorProto

    frames = {
        item.name
        for item in model.graph.input
        if item.type.tensor_type.elem_type == TensorProto.UINT8
    }
    for node in model.graph.node:  # a clip is taken apart into frames
        if node.op_type == "Reshape" and node.input[0] in frames:
            frames.add(node.output[0])
    return {
        node.output[0]: Range(1.0, 0)
        for node in model.graph.node
        if node.op_type == "Cast" and node.input[0] in frames
    }


@dataclass(frozen=True)
class IntegerWeights:
    """Kernel and bias of a convolution as integers, and the nodes that bring them back.

    Attributes:
        inputs: names for the convolution's inputs behind the first.
    """

    inputs: tuple[str, ...]
    constants: "Mapping[str, np.ndarray]"
    nodes: "Sequence[NodeProto]"


def integer_weights(
    name: str,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    input_scale: float,
    beside: np.ndarray | None = None,
) -> IntegerWeights:
    """The integers of a layer, int8 for the kernel and int32 for the bias, under names of its own.

    Args:
        input_scale: of one step of what the layer reads.
        beside: kernels that are to have the same scales, side by side on the last axis.
    """
    whole, scale = symmetric_int8(kernel if beside is None else beside)
    if beside is not None:
        whole = np.clip(np.rint(kernel / scale), -INT8_LARGEST, INT8_LARGEST).astype(np.int8)
    scale_C = scale.reshape(-1)
    parts = [(f"{name}_kernel", whole, scale_C)]
    if bias is not None:
        steps_C = scale_C * np.float32(input_scale)
        sums = np.rint(bias.astype(np.float64) / steps_C)
        sums = np.clip(sums, -_INT32_LARGEST, _INT32_LARGEST).astype(np.int32)
        parts.append((f"{name}_bias", sums, steps_C))
    constants = {}
    for part, integers, steps_C in parts:
        constants[f"{part}_int8"] = integers
        constants[f"{part}_scale"] = steps_C
        constants[f"{part}_zero"] = np.zeros(len(steps_C), integers.dtype)
    nodes = [dequantise(part, f"{part}_int8", axis=0) for part, _, _ in parts]
    return IntegerWeights(tuple(part for part, _, _ in parts), constants, nodes)


def dequantise(name: str, whole: str, axis: int) -> "NodeProto":
    """The node that makes ``name`` of integers; its scale and zero point are named after it."""
    from onnx import helper

    inputs = [whole, f"{name}_scale", f"{name}_zero"]
    return helper.make_node("DequantizeLinear", inputs, [name], axis=axis)


class _Writer:
    def __init__(self, model: "ModelProto", ranges: Mapping[str, Range]) -> None:
        self._graph = model.graph
        self._ranges = dict(ranges)
        self._values = stored_values(model)
        self._before: dict[str, list[NodeProto]] = {}  # in front of the node that gives a name
        self._behind: dict[str, list[NodeProto]] = {}  # behind it
        self._quantised: dict[str, str] = {}
        self._makers = {name: node for node in self._graph.node for name in node.output}

    def round_state(self, state: State) -> None:
        """Round the newest map of a state for all that read it, and for the next step.

        Its past maps are read rounded already.
        """
        output, unrounded = state.output, f"{state.output}_unrounded"
        maker = self._makers[output]
        maker.output[:] = [unrounded if name == output else name for name in maker.output]
        self._behind[unrounded] = self._round(unrounded, output, output)
        self._quantised[output] = output
        for name in state.inputs:
            self._quantised[name] = past_on_8_bits(name)
            self._ranges[name] = self._ranges[output]

    def rewrite(self, layer: Layer) -> None:
        """Compute a layer in integers: rounded input, int8 kernel, int32 bias.

        The frames of a kernel over time have the same scales, so that their integers can be added;
        only the sum is rounded.
        """
        bias = None if layer.bias is None else self._values[layer.bias]
        scale = self._ranges[layer.input].scale
        beside = None
        if layer.others:
            beside = np.concatenate([self._values[name] for name in layer.weights], axis=-1)
        parts = [(layer.name, layer.output, layer.weight, bias)]
        parts += [
            (f"{layer.name}_{number}", output, weight, None)
            for number, (output, weight) in enumerate(layer.others, start=1)
        ]
        for name, output, weight, added in parts:
            made = integer_weights(name, self._values[weight], added, scale, beside)
            for constant, array in made.constants.items():
                self._constant(constant, array)
            inputs = [self._rounded(layer.input), *made.inputs]
            node = self._makers[output]
            del node.input[:]
            node.input.extend(inputs)
            self._before.setdefault(node.output[0], []).extend(made.nodes)
        for tensor in layer.rounded:
            self._round_output(tensor)

    def _rounded(self, tensor: str) -> str:
        """The name of ``tensor`` on 8 bits and back; made once for all that read it."""
        if tensor not in self._quantised:
            self._quantised[tensor] = f"{tensor}_rounded"
            nodes = self._round(tensor, tensor, f"{tensor}_rounded")
            self._behind.setdefault(tensor, []).extend(nodes)
        return self._quantised[tensor]

    def _round_output(self, tensor: str) -> None:
        """Let all that read ``tensor`` read it on 8 bits and back; what the program gives stays."""
        rounded = self._rounded(tensor)
        for node in self._graph.node:
            node.input[:] = [rounded if name == tensor else name for name in node.input]

    def _round(self, tensor: str, prefix: str, result: str) -> list["NodeProto"]:
        from onnx import helper

        found = self._ranges[prefix]
        self._constant(f"{prefix}_scale", np.array(found.scale, np.float32))
        self._constant(f"{prefix}_zero", np.array(found.zero_point, np.uint8))
        numbers = [f"{prefix}_scale", f"{prefix}_zero"]
        whole = f"{prefix}_uint8"
        return [
            helper.make_node("QuantizeLinear", [tensor, *numbers], [whole]),
            helper.make_node("DequantizeLinear", [whole, *numbers], [result]),
        ]

    def _constant(self, name: str, array: np.ndarray) -> None:
        from onnx import numpy_helper

        self._graph.initializer.append(numpy_helper.from_array(array, name))

    def finish(self) -> None:
        """Put the nodes in their places, and drop the float kernels that nothing reads any more."""
        inputs = [value.name for value in self._graph.input]
        nodes = [node for name in inputs for node in self._behind.get(name, [])]
        for node in list(self._graph.node):
            for name in node.output:
                nodes += self._before.get(name, [])
            nodes.append(node)
            for name in node.output:
                nodes += self._behind.get(name, [])
        read = {name for node in nodes for name in node.input}
        kept = [entry for entry in self._graph.initializer if entry.name in read]
        replace_items(self._graph.node, nodes)
        replace_items(self._graph.initializer, kept)
