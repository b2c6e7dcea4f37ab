"""The program of one clip in tensors of four axes at most, for converters to channels last.

Our clip programs keep the frames of all clips on the first axis, [B*T, C, H, W]. For convolutions
over time each is made [B, T, C*H*W] for as long as it takes to move it by some frames. With one
clip that is a move along the first axis, and nothing need be flattened, which gives another order
of numbers where channels are last.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.export.onnx_weights import replace_items
from paddlevideo.utils.errors import BundleError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

CLIPS_KEY = "clips"  # of the file's metadata: the inputs that were [1, T, C, H, W], with commas
_CLIP_AXES, _FLAT_AXES, _MAP_AXES = 5, 3, 4


def of_one_clip(model: "ModelProto") -> None:
    """Rewrite the program of a batch of one; its clips [1, T, C, H, W] become [T, C, H, W].

    Args:
        model: changed in place; all its shapes are fixed and constants are computed.

    Raises:
        BundleError: a clip is read by something else than what takes its frames apart.
    """
    from onnx import shape_inference

    graph = model.graph
    shapes = _shapes(shape_inference.infer_shapes(model).graph)
    clips = [value for value in graph.input if len(shapes[value.name]) == _CLIP_AXES]
    for value in clips:
        frames = list(shapes[value.name][1:])
        _read_frames(graph, value.name, frames, shapes)
        dims = value.type.tensor_type.shape.dim
        del dims[0]
        shapes[value.name] = tuple(frames)
    _move_whole(graph, shapes)
    entry = model.metadata_props.add()
    entry.key, entry.value = CLIPS_KEY, ",".join(value.name for value in clips)


def _shapes(graph: "GraphProto") -> dict[str, tuple[int, ...]]:
    values = (*graph.value_info, *graph.input, *graph.output)
    shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in values}
    return {**shapes, **{entry.name: tuple(entry.dims) for entry in graph.initializer}}


def _read_frames(
    graph: "GraphProto", name: str, frames: list[int], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Let all that reads the frames of a clip read the clip itself."""
    readers = [node for node in graph.node if name in node.input]
    for node in readers:
        if node.op_type != "Reshape" or list(shapes[node.output[0]]) != frames:
            raise BundleError(
                f"--format tflite: the program reads {name} with {node.op_type}, not frame by "
                "frame; leave out --format tflite"
            )
    whole = {node.output[0] for node in readers}
    replace_items(graph.node, [node for node in graph.node if node.output[0] not in whole])
    for node in graph.node:
        node.input[:] = [name if each in whole else each for each in node.input]


class _Moves:
    """Tensors [1, T, C*H*W] and the [T, C, H, W] that they are.

    Attributes:
        maps: (C, H, W) of each by its name; the name stays that of the tensor.
    """

    def __init__(self, graph: "GraphProto", shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._shapes = shapes
        self._constants = {entry.name: entry for entry in graph.initializer}
        self.maps: dict[str, tuple[int, ...]] = {}
        self.same: dict[str, str] = {}  # names of tensors that need no operation
        self.constants: dict[str, np.ndarray] = {}

    def flattens(self, node: "NodeProto") -> bool:
        """A map is made one row a frame, which are then moved alone."""
        source, made = self._shapes[node.input[0]], self._shapes[node.output[0]]
        is_flat = len(source) == _MAP_AXES and made == (1, source[0], int(np.prod(source[1:])))
        return node.op_type == "Reshape" and is_flat and source[2:] != (1, 1)

    def moves(self, node: "NodeProto") -> bool:
        """The frames of flat tensors are cut or joined."""
        return node.op_type in ("Slice", "Concat") and any(name in self.maps for name in node.input)

    def ends(self, node: "NodeProto") -> bool:
        """A flat tensor becomes a map again."""
        return node.op_type == "Reshape" and self._shapes[node.output[0]][1:] == self.maps.get(
            node.input[0]
        )

    def moved(self, node: "NodeProto") -> "NodeProto":
        """The operation on maps, along the first axis in place of the second."""
        from onnx import helper, numpy_helper

        (found, *_) = (self.maps[name] for name in node.input if name in self.maps)
        self.maps[node.output[0]] = found
        if node.op_type == "Concat":
            inputs = [self._joined(name, found) for name in node.input]
            return helper.make_node("Concat", inputs, list(node.output), axis=0)
        source, *numbers = node.input
        begins, ends, axes, *steps = (numpy_helper.to_array(self._constants[n]) for n in numbers)
        if list(axes) != [1] or any(list(step) != [1] for step in steps):
            raise BundleError(f"--format tflite: {node.output[0]} is not cut along time")
        names = [f"{node.output[0]}_{part}" for part in ("begin", "end", "axis")]
        self.constants.update(zip(names, (begins, ends, np.zeros_like(axes)), strict=True))
        return helper.make_node("Slice", [self.same.get(source, source), *names], list(node.output))

    def _joined(self, name: str, frame: tuple[int, ...]) -> str:
        """A tensor or constant that is joined to maps."""
        from onnx import numpy_helper

        if name in self._constants:
            rows = numpy_helper.to_array(self._constants[name])
            self.constants[f"{name}_{frame[0]}_maps"] = rows.reshape(-1, *frame)
            return f"{name}_{frame[0]}_maps"
        return self.same.get(name, name)


def _move_whole(graph: "GraphProto", shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Cut and join maps where their flattened forms are; other operations stay as they are."""
    from onnx import numpy_helper

    found, nodes = _Moves(graph, shapes), []
    for node in graph.node:
        if found.flattens(node):
            found.maps[node.output[0]] = shapes[node.input[0]][1:]
            found.same[node.output[0]] = found.same.get(node.input[0], node.input[0])
        elif found.moves(node):
            nodes.append(found.moved(node))
        elif found.ends(node):
            found.same[node.output[0]] = found.same.get(node.input[0], node.input[0])
        else:
            node.input[:] = [found.same.get(name, name) for name in node.input]
            nodes.append(node)
    read = {name for node in nodes for name in node.input}
    kept = [entry for entry in graph.initializer if entry.name in read]
    new = [numpy_helper.from_array(array, name) for name, array in found.constants.items()]
    replace_items(graph.node, nodes)
    replace_items(graph.initializer, [*kept, *new])
    del graph.value_info[:]
