"""The step program for a browser: one stream, and products of vectors as such.

ONNX Runtime's WebAssembly has no kernel for a convolution of a map of one pixel: it multiplies 16
columns where there is one. The gates and the classifier, a twentieth of the arithmetic, take a
third of a step so. As ``Gemm`` they are products of a vector and a matrix, for which it has one.
`small_windows` does the same for depthwise convolutions of small maps. Past maps that lie on 8 bits
already are not rounded again.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.export.onnx_roundings import read_past_as_given
from paddlevideo.export.web.small_windows import multiply_small_windows
from paddlevideo.utils.errors import BundleError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_ROWS, _MAP = "page_rows", "page_map"


def write_browser_graph(source: Path, target: Path) -> None:
    """Write the ONNX file of a step program as the page runs it.

    Raises:
        BundleError: the file is damaged, or was exported for several streams at a time.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import checker, shape_inference

    try:
        model = onnx.load(str(source))
        _take_one_stream(model.graph, source)
        read_past_as_given(model)
        model = shape_inference.infer_shapes(model)
        shapes = dict(_shapes(model.graph))
        multiply_vectors(model, shapes)
        multiply_small_windows(model, shapes)
        del model.graph.value_info[:]
        checker.check_model(model)
    except (
        DecodeError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        raise BundleError(f"{source} cannot be read: {str(error)[:200]}") from None
    onnx.save(model, str(target))


def _take_one_stream(graph: "GraphProto", source: Path) -> None:
    """Let the first axis of inputs and outputs be 1."""
    for value in (*graph.input, *graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if first.dim_value > 1:
            raise BundleError(
                f"{source} takes {first.dim_value} streams at a time, and a page has one; export "
                "with --batch 1 or --batch dynamic"
            )
        first.dim_value = 1
    del graph.value_info[:]


def multiply_vectors(model: "ModelProto", shapes: Mapping[str, Sequence[int]]) -> None:
    """Write every convolution of a map of one pixel as ``Gemm``, in place.

    Args:
        shapes: of the values.
    """
    from onnx import helper

    graph = model.graph
    weights = {item.name: item for item in graph.initializer}
    readers = [name for node in graph.node for name in node.input]
    nodes: list[NodeProto] = []
    for node in graph.node:
        if not _is_product(node, shapes):
            nodes.append(node)
            continue
        matrix, made = node.input[1], node.output[0]
        if matrix in weights and readers.count(matrix) == 1:
            del weights[matrix].dims[2:]  # [O, I, 1, 1] and [O, I] are the same numbers in a row
        else:  # a weight that is brought back from fewer bytes when the file is loaded
            nodes.append(helper.make_node("Flatten", [matrix], [made + "_matrix"], axis=1))
            matrix = made + "_matrix"
        rows, product = made + "_rows", made + "_product"
        nodes.append(helper.make_node("Reshape", [node.input[0], _ROWS], [rows]))
        inputs = [rows, matrix, *node.input[2:]]
        nodes.append(helper.make_node("Gemm", inputs, [product], name=node.name, transB=1))
        nodes.append(helper.make_node("Reshape", [product, _MAP], [made]))
    if len(nodes) != len(graph.node):
        for name, shape in ((_ROWS, [1, -1]), (_MAP, [1, -1, 1, 1])):
            graph.initializer.append(helper.make_tensor(name, 7, [len(shape)], shape))  # INT64
    del graph.node[:]
    graph.node.extend(nodes)


def _is_product(node: "NodeProto", shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether a node is a convolution, of one group, of maps of 1x1 pixels."""
    if node.op_type != "Conv" or list(shapes.get(node.input[0], ()))[2:] != [1, 1]:
        return False
    numbers = {item.name: list(item.ints) or [item.i] for item in node.attribute}
    one_group = numbers.get("group", [1]) == [1]
    padded = any(numbers.get("pads", ()))
    return one_group and not padded and set(numbers.get("kernel_shape", ())) == {1}


def _shapes(graph: "GraphProto") -> Iterator[tuple[str, list[int]]]:
    for value in (*graph.input, *graph.value_info, *graph.output):
        yield value.name, [item.dim_value for item in value.type.tensor_type.shape.dim]
