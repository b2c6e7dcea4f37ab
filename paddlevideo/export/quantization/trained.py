"""The int8 bundle of a network that was trained for 8 bits: its own ranges, no calibration."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.export.onnx_weights import Storage, replace_items, store_weights, stored_values
from paddlevideo.export.quantization.graph_layers import Layer, find_layers
from paddlevideo.export.quantization.integer_graph import dequantise, integer_weights
from paddlevideo.export.quantization.rounded_states import State, find_states, read_past_rounded
from paddlevideo.export.quantization.step_graphs import load_step_graph
from paddlevideo.export.quantization.trained_ranges import FoundRounding, find_roundings
from paddlevideo.export.quantization.write_quantized import check_formats, write_quantized
from paddlevideo.export.write_bundle import ExportOptions, export_model
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.utils.errors import BundleError
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.utils.packages import require_packages

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def quantize_trained(bundle: Bundle, output: Path, formats: Sequence[str] = ("onnx",)) -> Bundle:
    """Write the int8 bundle of a network that was trained quantisation-aware.

    Args:
        bundle: the network as it was exported, with its step program as ONNX: it rounds its
            numbers, in float32 arithmetic.
        output: folder of the new bundle.
        formats: to write the program in, beside ONNX.

    Raises:
        BundleError: the step program has no trained ranges, or ``output`` cannot be written.
        DeviceError: a package is missing.
    """
    require_packages("quantising", "onnx", "onnxruntime")
    model = load_step_graph(bundle)
    roundings = find_roundings(model)
    if not roundings:
        raise BundleError(
            f"{bundle.folder} has no trained ranges: train with the section QUANTIZE, or measure "
            "them with tools/quantize.py --calibration VIDEOS"
        )
    layers = find_layers(model)
    integer = integer_layers(layers, roundings)
    trained = {found.output for found in roundings}
    states = [
        item for item in find_states(model.graph, bundle.manifest.step) if item.output in trained
    ]
    graph = integer_graph_of(model, layers, roundings, states)
    facts = {
        "arithmetic": "int8",
        "ranges": "trained",
        "rounded_tensors": len(roundings),
        "integer_layers": len(integer),
        "float_layers": [item.name for item in layers if item.name not in integer],
        "uint8_states": [item.name for item in states],
    }
    return write_quantized(bundle, graph, output, facts, formats)


def export_int8(
    model: Recognizer,
    pipeline: ReadNode,
    folder: str | Path,
    name: str,
    labels: list[str] | None,
    options: ExportOptions,
    training: ReadNode | None = None,
) -> Bundle:
    """Export a network that was trained quantisation-aware as an int8 bundle.

    Args:
        model: with trained ranges.
        folder: of the bundle.
        options: its formats are those of the int8 program, beside ONNX; ``verify`` compares the
            network with what it is made of, its programs in float32 arithmetic.

    The others are those of `export_model`, as are the errors.
    """
    check_formats(options.formats)
    floats = replace(options, formats=("onnx",))
    with tempfile.TemporaryDirectory() as work:
        whole = export_model(model, pipeline, Path(work) / name, name, labels, floats, training)
        return quantize_trained(whole, Path(folder), options.formats)


def integer_layers(layers: Sequence[Layer], roundings: Sequence[FoundRounding]) -> dict[str, float]:
    """The layers between two roundings, which engines compute with integers.

    Returns:
        By the layer's name the scale of what it reads.
    """
    scales = {found.output: found.range.scale for found in roundings}
    rounded = {found.input for found in roundings}
    return {
        item.name: scales[item.input]
        for item in layers
        if item.input in scales and item.measured_output in rounded
    }


def integer_graph_of(
    model: "ModelProto",
    layers: Sequence[Layer],
    roundings: Sequence[FoundRounding],
    states: Sequence[State] = (),
) -> "ModelProto":
    """A copy of a trained program with integers in QDQ form.

    Kernels of the other layers, which are on int8 already, keep their values: those of one past
    frame each in float32, as they share their scale with the other frames, the others as int8.

    Args:
        states: whose newest map is the result of a rounding; their past maps are read so too.
    """
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    values = stored_values(copy)
    scales = integer_layers(layers, roundings)
    constants: dict[str, np.ndarray] = {}
    before: dict[str, Sequence[NodeProto]] = {}
    makers = {name: node for node in copy.graph.node for name in node.output}
    for layer in layers:
        if layer.name in scales:
            bias = None if layer.bias is None else values[layer.bias]
            made = integer_weights(layer.name, values[layer.weight], bias, scales[layer.name])
            constants |= made.constants
            before[layer.output] = made.nodes
            node = makers[layer.output]
            node.input[:] = [node.input[0], *made.inputs]
    _replace_roundings(copy, roundings, before, constants)
    read_past_rounded(copy.graph, states)
    storage: dict[str, Storage] = {
        item.weight: "float32" if item.kind == "tap" else "int8"
        for item in layers
        if item.name not in scales
    }
    store_weights(copy, lambda name, _array: storage.get(name, "float32"))
    onnx.checker.check_model(copy)
    return copy


def _replace_roundings(
    model: "ModelProto",
    roundings: Sequence[FoundRounding],
    before: Mapping[str, Sequence["NodeProto"]],
    constants: dict[str, np.ndarray],
) -> None:
    """Put QuantizeLinear and DequantizeLinear in place of roundings, and new nodes where they go.

    Args:
        before: nodes in front of the one that gives a name.
        constants: new ones; those of the roundings are added.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    last = {max(found.nodes): found for found in roundings}
    dropped = {index for found in roundings for index in found.nodes}
    nodes: list[NodeProto] = []
    for index, node in enumerate(graph.node):
        if index in last:
            found = last[index]
            name = found.output
            constants[f"{name}_scale"] = np.array(found.range.scale, np.float32)
            constants[f"{name}_zero"] = np.array(found.range.zero_point, np.uint8)
            numbers = [f"{name}_scale", f"{name}_zero"]
            whole = f"{name}_uint8"
            nodes.append(helper.make_node("QuantizeLinear", [found.input, *numbers], [whole]))
            nodes.append(dequantise(name, whole, axis=1))
        elif index not in dropped:
            for name in node.output:
                nodes += before.get(name, ())
            nodes.append(node)
    read = {name for node in nodes for name in node.input}
    kept = [entry for entry in graph.initializer if entry.name in read]
    kept += [numpy_helper.from_array(array, name) for name, array in constants.items()]
    replace_items(graph.node, nodes)
    replace_items(graph.initializer, kept)
