"""Read a clip program as one of frames: its rows, and few nodes between frames of a clip.

In the file the frames of a clip are rows of the batch, so most nodes know nothing of a clip. Where
frames meet, the rows are taken apart into [B, T, S] and put together again, with nodes that only
rearrange: `frames_as_rows` follows which frame lies where, and makes one node of them (``ByFrame``
where rows are taken apart, then ``Moved`` or ``ByRow``) whose rule `validation` has. What works on
[B, T, S] becomes ``AddByFrame`` and ``MixFrames`` on rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.graph import Graph, Node, TensorInfo
from paddlevideo.runtime.engines.onnx_file import DamagedProgramError, shown

CLIP_AXES = 4  # of one clip: frames, channels, rows, columns


@dataclass(frozen=True)
class _View:
    """A tensor [B, T, S]: frames of the rows of a map, zeros where there is None."""

    source: str | None
    of: int
    size: int
    frames: tuple[int | None, ...]

    @property
    def is_whole(self) -> bool:
        """Whether it is all frames in order."""
        return self.frames == tuple(range(self.of))


def frames_as_rows(graph: Graph) -> Graph:
    """The program of a clip with a node ``Frames`` behind each input, or a step program as it is.

    Raises:
        UnsupportedProgramError: frames meet in a way that no operation stands for.
        DamagedProgramError: sizes contradict each other.
    """
    clips = [name for name, info in graph.inputs.items() if len(info.shape) == CLIP_AXES]
    if not clips:
        return graph
    if len(graph.inputs) != 1:
        raise UnsupportedProgramError("a clip beside another input")
    return _Reading(graph, clips[0]).graph_of_rows()


class _Reading:
    def __init__(self, graph: Graph, clip: str) -> None:
        self.graph, self.clip = graph, clip
        self.info: TensorInfo = graph.inputs[clip]
        self.constants = graph.constants
        self.views: dict[str, _View] = {}
        self.shapes_of: dict[str, _View] = {}
        self.nodes: list[Node] = []

    def graph_of_rows(self) -> Graph:
        """All nodes in order."""
        rules: dict[str, Callable[[Node], bool]] = {
            "Reshape": self._reshape,
            "Slice": self._slice,
            "Shape": self._shape,
            "Expand": self._expand,
            "Concat": self._concat,
            "Add": self._add,
            "MatMul": self._mix,
        }
        for node in self.graph.nodes:
            rule = rules.get(node.kind)
            if rule is not None and rule(node):
                self._check_declared(node.output)
                continue
            for name in node.inputs:
                if name in self.views or name in self.shapes_of or name == self.clip:
                    raise UnsupportedProgramError(f"{shown(node.kind)} of the frames of a clip")
            self.nodes.append(node)
        for name in self.graph.outputs:
            if name in self.views or name in self.shapes_of:
                raise UnsupportedProgramError(f"an output {shown(name)} of frames")
        hidden = {*self.views, *self.shapes_of}
        declared = {n: d for n, d in self.graph.declared.items() if n not in hidden}
        return replace(self.graph, nodes=tuple(self.nodes), declared=declared)

    def _check_declared(self, name: str) -> None:
        view, found = self.views.get(name), self.graph.declared.get(name)
        if view is None or found is None:
            return
        expected = (len(view.frames), view.size)
        sizes, dtype = found
        same = len(sizes) == 3 and all(
            size in (0, real) for size, real in zip(sizes[1:], expected, strict=True)
        )
        if not same or dtype != np.float32:
            raise DamagedProgramError(
                f"{shown(name)} is declared {shown(list(sizes))} {dtype}; what makes it gives "
                f"{list(expected)} of one clip"
            )

    def _sizes(self, name: str) -> list[int]:
        """The target of a reshape."""
        value = self.constants.get(name)
        if value is None or value.ndim != 1 or value.dtype != np.int64:
            raise UnsupportedProgramError("a reshape to sizes that are no constant")
        return [int(size) for size in value]

    def _reshape(self, node: Node) -> bool:
        if len(node.inputs) != 2 or not set(node.attributes) <= {"allowzero"}:
            raise UnsupportedProgramError("a reshape of this form")
        x, sizes = node.inputs[0], self._sizes(node.inputs[1])
        if x == self.clip:
            if sizes != [-1, *self.info.shape[1:]]:
                raise UnsupportedProgramError("a clip that is not taken apart into frames")
            self.nodes.append(replace(node, kind="Frames", inputs=(x,), attributes={}))
            return True
        if x not in self.views:
            if len(sizes) != 3:
                return False  # of single pixels to rows
            if sizes[0] != -1 or min(sizes[1:]) < 1:
                raise UnsupportedProgramError(f"a reshape to {shown(sizes)}")
            form = {"frames": sizes[1], "size": sizes[2]}
            self.nodes.append(Node("ByFrame", (x,), node.output, form))
            self.views[node.output] = _View(node.output, sizes[1], sizes[2], tuple(range(sizes[1])))
            return True
        self._back_to_rows(node, self.views[x], sizes)
        return True

    def _back_to_rows(self, node: Node, view: _View, sizes: list[int]) -> None:
        """[B, T, S] to [B * T, C, H, W]."""
        if len(sizes) != 4 or sizes[0] != -1 or min(sizes[1:]) < 1 or view.source is None:
            raise UnsupportedProgramError(f"a reshape of frames to {shown(sizes)}")
        if int(np.prod(sizes[1:], dtype=object)) != view.size:
            raise UnsupportedProgramError(f"a reshape of frames of {view.size} to {shown(sizes)}")
        form = {"shape": tuple(sizes[1:]), "frames": view.of}
        if view.is_whole:
            self.nodes.append(Node("ByRow", (view.source,), node.output, form))
            return
        moves = {frame - place for place, frame in enumerate(view.frames) if frame is not None} or {
            view.of
        }
        move = min(moves)
        moved = tuple(
            place + move if 0 <= place + move < view.of else None for place in range(view.of)
        )
        if view.frames != moved:
            raise UnsupportedProgramError("frames of a clip in another order")
        self.nodes.append(Node("Moved", (view.source,), node.output, {**form, "move": move}))

    def _slice(self, node: Node) -> bool:
        view = self.views.get(node.inputs[0])
        if view is None:
            return False
        numbers = [self.constants.get(name) for name in node.inputs[1:]]
        if len(numbers) not in (3, 4) or any(n is None or n.size != 1 for n in numbers):
            raise UnsupportedProgramError("a slice but of frames")
        first, last, axis, step = [
            *(int(number.reshape(())) for number in numbers if number is not None), 1,
        ][:4]  # fmt: skip
        if axis != 1 or step != 1 or not 0 <= first < last <= len(view.frames):
            raise UnsupportedProgramError("a slice but of frames")
        self.views[node.output] = replace(view, frames=view.frames[first:last])
        return True

    def _shape(self, node: Node) -> bool:
        view = self.views.get(node.inputs[0])
        if view is None or node.attributes.get("start", 0) or "end" in node.attributes:
            raise UnsupportedProgramError("Shape but of frames")
        self.shapes_of[node.output] = view
        return True

    def _expand(self, node: Node) -> bool:
        """Zeros of the shape of some frames."""
        value = self.constants.get(node.inputs[0])
        view = self.shapes_of.get(node.inputs[1]) if len(node.inputs) == 2 else None
        if value is None or view is None or value.size != 1 or value.dtype != np.float32:
            raise UnsupportedProgramError("Expand but to zero frames")
        if float(value.reshape(())) != 0.0 or value.ndim > 3:
            raise UnsupportedProgramError("Expand but to zero frames")
        self.views[node.output] = replace(view, source=None, frames=(None,) * len(view.frames))
        return True

    def _concat(self, node: Node) -> bool:
        views = [self.views[name] for name in node.inputs if name in self.views]
        if not views:
            return False
        axis = node.attributes.get("axis")
        if len(views) != len(node.inputs) or axis not in (1, 2, -1):
            raise UnsupportedProgramError("frames of a clip beside something else")
        if axis == 1:
            self._one_after_the_other(node, views)
            return True
        sources = tuple(view.source for view in views if view.source is not None)
        if len(sources) != len(views) or not all(view.is_whole for view in views):
            raise UnsupportedProgramError("channels of frames that were moved")
        if len({view.of for view in views}) != 1:
            raise UnsupportedProgramError("Concat of several numbers of frames")
        size = sum(view.size for view in views)
        self.nodes.append(Node("Concat", sources, node.output, {"axis": 1}))
        self.views[node.output] = _View(node.output, views[0].of, size, views[0].frames)
        return True

    def _one_after_the_other(self, node: Node, views: list[_View]) -> None:
        sources = {view.source for view in views} - {None}
        if len(sources) > 1 or len({(view.of, view.size) for view in views}) != 1:
            raise UnsupportedProgramError("frames of several maps one after the other")
        frames = tuple(frame for view in views for frame in view.frames)
        if len(frames) != views[0].of:
            raise UnsupportedProgramError(f"{len(frames)} frames of a clip of {views[0].of}")
        self.views[node.output] = replace(views[0], source=next(iter(sources), None), frames=frames)

    def _add(self, node: Node) -> bool:
        """A constant for each frame is added."""
        views = [self.views[name] for name in node.inputs if name in self.views]
        if not views:
            return False
        added = [name for name in node.inputs if name in self.constants]
        if len(node.inputs) != 2 or len(views) != 1 or len(added) != 1:
            raise UnsupportedProgramError("a sum of frames")
        source = self._whole(views[0], node.kind)
        self.nodes.append(Node("AddByFrame", (source, added[0]), node.output, {}))
        self.views[node.output] = replace(views[0], source=node.output)
        return True

    def _mix(self, node: Node) -> bool:
        """Sums over frames, with a constant matrix."""
        view = self.views.get(node.inputs[-1])
        matrix = self.constants.get(node.inputs[0])
        if view is None:
            return False
        if len(node.inputs) != 2 or matrix is None or matrix.ndim != 2:
            raise UnsupportedProgramError("MatMul but of a constant matrix with frames")
        source = self._whole(view, node.kind)
        self.nodes.append(Node("MixFrames", (source, node.inputs[0]), node.output, {}))
        of = matrix.shape[0]
        self.views[node.output] = _View(node.output, of, view.size, tuple(range(of)))
        return True

    def _whole(self, view: _View, kind: str) -> str:
        if view.source is None or not view.is_whole:
            raise UnsupportedProgramError(f"{kind} of frames that were moved")
        return view.source
