"""Prove what compiled code relies on: it reads and writes by address, and does not look.

Every tensor's shape and dtype is found from the inputs on, by rules of our own. What a rule does
not prove is refused by name. `program_check` then holds what was lowered against these shapes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.byte_states import range_at
from paddlevideo.runtime.engines.compiled.clip_graph import CLIP_AXES
from paddlevideo.runtime.engines.compiled.graph import Graph, Node
from paddlevideo.runtime.engines.compiled.table import LARGEST_KERNEL
from paddlevideo.runtime.engines.onnx_file import DamagedProgramError, shown
from paddlevideo.utils.eight_bits import Range
from paddlevideo.utils.limits import how_to_raise, limit

_FLOAT: np.dtype = np.dtype(np.float32)
_INT32: np.dtype = np.dtype(np.int32)
_UINT8: np.dtype = np.dtype(np.uint8)
_WINDOW = {"kernel_shape": list, "strides": list, "pads": list, "auto_pad": bytes,
           "dilations": list}  # fmt: skip
_ATTRIBUTES: dict[str, dict[str, type]] = {
    "Conv": {**_WINDOW, "group": int},
    "AveragePool": {**_WINDOW, "ceil_mode": int, "count_include_pad": int},
    "HardSigmoid": {"alpha": float, "beta": float},
    "Concat": {"axis": int},
    "Cast": {"to": int, "saturate": int},
    "Reshape": {"allowzero": int},
    "QuantizeLinear": {"axis": int, "saturate": int},
    "DequantizeLinear": {"axis": int},
    "ByFrame": {"size": int, "frames": int},
    "ByRow": {"shape": tuple, "frames": int},
    "Moved": {"shape": tuple, "frames": int, "move": int},
}
_FUNCTIONS = ("Sin", "Cos", "Floor", "Reciprocal", "Sigmoid")
_INPUTS = {"Conv": (2, 3), "Clip": (1, 3), "Mul": (2, 2), "Add": (2, 2), "Concat": (1, 10_000),
           "Reshape": (2, 2), "QuantizeLinear": (3, 3), "DequantizeLinear": (3, 3),
           "AddByFrame": (2, 2), "MixFrames": (2, 2)}  # fmt: skip
_OWN_NAMES = ("output:", "scratch:", "sums:", "pairs:", "padded:", "spare:", "frame:")


@dataclass(frozen=True)
class Proven:
    """Shape of one stream's tensor, without the batch axis, its dtype, and of 8 bits the range.

    In the program of a clip it is the shape of one row, and ``frames`` says how many rows a clip
    has.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    range: Range | None = None
    frames: int = 1

    @property
    def is_map(self) -> bool:
        """Whether it is [B, C, H, W]."""
        return len(self.shape) == 3

    @property
    def is_pixel(self) -> bool:
        """Whether it is one number for each channel."""
        return self.shape[1:] in ((), (1, 1))


def validate(graph: Graph) -> dict[str, Proven]:
    """The shapes and dtypes of all tensors but constants.

    Raises:
        UnsupportedProgramError: something that compiled code relies on is not so.
        DamagedProgramError: parts of the file contradict each other.
    """
    return _Validation(graph).tensors()


class _Validation:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.known: dict[str, Proven] = {}
        self.ranges: dict[str, Range] = {}
        self.total = 0

    def tensors(self) -> dict[str, Proven]:
        """Inputs, nodes in order, then outputs."""
        for name, info in self.graph.inputs.items():
            fits = info.dtype in (_FLOAT, _UINT8) or (
                info.dtype == _INT32 and info.shape == (1, 1, 1)
            )
            if not fits:
                raise UnsupportedProgramError(
                    f"input {shown(name)} {list(info.shape)} {info.dtype}"
                )
            if len(info.shape) == CLIP_AXES:
                self._add(name, info.shape[1:], info.dtype, info.shape[0])
                continue
            if len(info.shape) != 3:
                raise UnsupportedProgramError(f"input {shown(name)} of {len(info.shape) + 1} axes")
            if info.range is not None:
                self.ranges[name] = info.range
            self._add(name, info.shape, info.dtype if info.range is None else _UINT8)
        rules: dict[str, Callable[[Node], tuple[tuple[int, ...], np.dtype]]] = {
            "Conv": self._convolution,
            "AveragePool": self._pool,
            "GlobalAveragePool": self._mean,
            "Mul": self._arithmetic,
            "Add": self._arithmetic,
            "Clip": self._clip,
            "Concat": self._concat,
            "Cast": self._cast,
            "Reshape": self._reshape,
            "QuantizeLinear": self._quantize,
            "DequantizeLinear": self._dequantize,
            **dict.fromkeys(("Relu", "HardSigmoid", "HardSwish", *_FUNCTIONS), self._same),
            "Frames": self._frames,
            "ByFrame": self._by_frame,
            "ByRow": self._by_row,
            "Moved": self._by_row,
            "AddByFrame": self._add_by_frame,
            "MixFrames": self._mix_frames,
        }
        for node in self.graph.nodes:
            rule = rules.get(node.kind)
            if rule is None:
                raise UnsupportedProgramError(f"the operation {shown(node.kind)}")
            self._check_form(node)
            shape, dtype = rule(node)
            self._add(node.output, shape, dtype, self._frames_of(node))
        self._check_names()
        for name in self.graph.outputs:
            if name not in self.known:
                raise UnsupportedProgramError(f"an output {shown(name)} that is constant")
        for name, declared in self.graph.declared.items():
            self._check_declared(name, *declared)
        for name, value in self.graph.constants.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise DamagedProgramError(f"the constant {shown(name)} has numbers not finite")
        if not self.graph.inputs or not self.graph.nodes:
            raise UnsupportedProgramError("a program without inputs or operations")
        return self.known

    def _frames_of(self, node: Node) -> int:
        """Rows of a clip in what a node gives: all that it reads have as many."""
        if node.kind == "MixFrames":
            return int(self.graph.constants[node.inputs[1]].shape[0])
        found = {self.known[name].frames for name in node.inputs if name in self.known}
        if len(found) != 1:
            raise UnsupportedProgramError(f"{node.kind} of several numbers of frames")
        return found.pop()

    def _check_names(self) -> None:
        """Hold that no name is one that an assembly gives to maps of its own."""
        for name in (*self.known, *self.graph.constants):
            if name.startswith(_OWN_NAMES):
                raise UnsupportedProgramError(f"a tensor of the name {shown(name)}")

    def _add(self, name: str, shape: tuple[int, ...], dtype: np.dtype, frames: int = 1) -> None:
        if any(size < 1 for size in shape):
            raise UnsupportedProgramError(f"{shown(name)} of shape {list(shape)}")
        self.total += 4 * math.prod(shape)
        if self.total > limit("map_bytes"):
            raise DamagedProgramError(
                f"its maps up to {shown(name)} are too large; {how_to_raise('map_bytes')}"
            )
        self.known[name] = Proven(shape, dtype, self.ranges.get(name), frames)

    def _check_declared(self, name: str, sizes: tuple[int, ...], dtype: np.dtype) -> None:
        found = self.known.get(name)
        if found is None:
            return
        same = len(sizes) == len(found.shape) + 1 and all(
            size in (0, real) for size, real in zip(sizes[1:], found.shape, strict=True)
        )
        if found.dtype != dtype or not same:
            raise DamagedProgramError(
                f"{shown(name)} is declared {shown(list(sizes))} {dtype}; what makes it gives "
                f"{list(found.shape)} {found.dtype} of one stream"
            )

    def _check_form(self, node: Node) -> None:
        allowed = _ATTRIBUTES.get(node.kind, {})
        for name, value in node.attributes.items():
            if not isinstance(value, allowed.get(name, ())):
                raise UnsupportedProgramError(f"{node.kind} with the attribute {shown(name)}")
            if isinstance(value, float) and not math.isfinite(value):
                raise UnsupportedProgramError(f"{node.kind} with {shown(name)} {value}")
        least, most = _INPUTS.get(node.kind, (1, 1))
        if not least <= len(node.inputs) <= most or "" in node.inputs[:least]:
            raise UnsupportedProgramError(f"{node.kind} of {len(node.inputs)} inputs")

    def _float(self, name: str) -> Proven:
        """A tensor of floats that is no constant."""
        found = self.known.get(name)
        if found is None or found.dtype != _FLOAT:
            raise UnsupportedProgramError(
                f"an operation on {shown(name)}, which is no map of floats"
            )
        return found

    def _constant(self, name: str, what: str) -> np.ndarray:
        value = self.graph.constants.get(name)
        if value is None or value.size == 0:
            raise UnsupportedProgramError(f"{what} that is no constant")
        return value

    def _same(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        return self._float(node.inputs[0]).shape, _FLOAT

    def _convolution(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self._float(node.inputs[0])
        weight = self._constant(node.inputs[1], "a convolution of weights")
        if not x.is_map or weight.ndim != 4 or weight.dtype != _FLOAT:
            raise UnsupportedProgramError("a convolution but of a map with float32 weights")
        out_channels, per_group, high, wide = weight.shape
        groups = node.attributes.get("group", 1)
        if groups < 1 or per_group * groups != x.shape[0] or out_channels % groups:
            raise DamagedProgramError(
                f"Conv: weights {list(weight.shape)} of {shown(groups)} groups over {list(x.shape)}"
            )
        if len(node.inputs) > 2 and node.inputs[2]:
            bias = self._constant(node.inputs[2], "a convolution with a bias")
            if bias.shape != (out_channels,) or bias.dtype != _FLOAT:
                raise DamagedProgramError(
                    f"Conv: a bias {list(bias.shape)} {bias.dtype} for {out_channels} channels"
                )
        if high != wide or node.attributes.get("kernel_shape", [high, wide]) != [high, wide]:
            raise UnsupportedProgramError("a convolution whose kernel is not the weights' square")
        return (out_channels, *_moved(node, high, x.shape)), _FLOAT

    def _pool(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self._float(node.inputs[0])
        kernel = node.attributes.get("kernel_shape", [])
        if not x.is_map or len(kernel) != 2 or kernel[0] != kernel[1]:
            raise UnsupportedProgramError("average pooling whose kernel is not square")
        return (x.shape[0], *_moved(node, kernel[0], x.shape)), _FLOAT

    def _mean(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self._float(node.inputs[0])
        if not x.is_map:
            raise UnsupportedProgramError("the mean of what is no map")
        return (x.shape[0], 1, 1), _FLOAT

    def _arithmetic(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        dynamic = [self.known[name] for name in node.inputs if name in self.known]
        constants = [self.graph.constants[n] for n in node.inputs if n in self.graph.constants]
        if len(dynamic) + len(constants) != 2 or not dynamic:
            raise UnsupportedProgramError(f"{node.kind} of constants")
        first = dynamic[0]
        if any(len(item.shape) != len(first.shape) for item in dynamic):
            raise UnsupportedProgramError(f"{node.kind} of tensors of several numbers of axes")
        dtypes = {item.dtype for item in dynamic} | {value.dtype for value in constants}
        if len(dtypes) != 1 or first.dtype not in (_FLOAT, _INT32):
            raise UnsupportedProgramError(f"{node.kind} of {sorted(map(str, dtypes))}")
        shapes = [item.shape for item in dynamic]
        for value in constants:
            axes = len(first.shape) + 1
            if value.ndim > axes or value.size == 0:
                raise UnsupportedProgramError(f"a constant of shape {list(value.shape)}")
            full = (1,) * (axes - value.ndim) + value.shape
            if full[0] != 1:
                raise UnsupportedProgramError(f"a constant of shape {list(value.shape)}")
            # The numbers of a constant lie plane by plane, those of a map pixel by pixel.
            if axes == 4 and full[1] > 1 and full[2] * full[3] > 1:
                raise UnsupportedProgramError(f"a constant map {list(value.shape)}")
            shapes.append(full[1:])
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            raise DamagedProgramError(f"{node.kind} of {shapes[0]} and {shapes[1]}") from None
        return tuple(map(int, shape)), first.dtype

    def _clip(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self._float(node.inputs[0])
        bounds = [-math.inf, math.inf]
        for index, name in enumerate(node.inputs[1:]):
            if name:
                value = self._constant(name, "Clip with a bound")
                if value.ndim != 0 or value.dtype != _FLOAT:
                    raise UnsupportedProgramError(f"Clip with a bound of shape {value.shape}")
                bounds[index] = float(value)
        if not bounds[0] <= bounds[1]:
            raise UnsupportedProgramError(f"Clip between {bounds[0]} and {bounds[1]}")
        return x.shape, _FLOAT

    def _concat(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        parts = [self._float(name) for name in node.inputs]
        pixels = all(part.is_pixel for part in parts)
        axes = {len(part.shape) for part in parts}
        if node.attributes.get("axis") != 1 or not pixels or len(axes) != 1:
            raise UnsupportedProgramError("concatenation but of channels of single pixels")
        channels = sum(part.shape[0] for part in parts)
        return (channels, *parts[0].shape[1:]), _FLOAT

    def _cast(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self.known.get(node.inputs[0])
        plain = x is not None and x.dtype in (_UINT8, _INT32) and x.range is None
        if x is None or not plain or node.attributes.get("to") != 1:
            raise UnsupportedProgramError("a cast of what is no frame and no counter")
        return x.shape, _FLOAT

    def _quantize(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        self.ranges[node.output] = range_at(node, self.graph.constants)
        return self._float(node.inputs[0]).shape, _UINT8

    def _dequantize(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self.known.get(node.inputs[0])
        if x is None or x.range is None or x.range != range_at(node, self.graph.constants):
            raise UnsupportedProgramError("DequantizeLinear but of what was rounded with its range")
        return x.shape, _FLOAT

    def _reshape(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self._float(node.inputs[0])
        target = self._constant(node.inputs[1], "a reshape to sizes")
        sizes = [int(size) for size in target.reshape(-1)]
        rows = len(sizes) == 2 and sizes in (
            [-1, x.shape[0]], [0, x.shape[0]], [0, -1],
        )  # fmt: skip
        if not rows or not x.is_pixel or target.dtype != np.int64 or target.ndim != 1:
            raise UnsupportedProgramError("a reshape but of single pixels to rows")
        if sizes[0] == 0 and node.attributes.get("allowzero", 0):
            raise UnsupportedProgramError("a reshape to zero rows")
        if x.frames != 1:
            raise UnsupportedProgramError(f"a reshape of {x.frames} frames to rows")
        return (x.shape[0],), _FLOAT

    def _frames(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self.known[node.inputs[0]]
        return x.shape, x.dtype

    def _by_frame(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x, frames, size = self._float(node.inputs[0]), *map(node.attributes.get, ("frames", "size"))
        if x.frames != frames or math.prod(x.shape) != size:
            raise UnsupportedProgramError(
                f"{x.frames} frames of {list(x.shape)} taken apart into {frames} of {size}"
            )
        return x.shape, _FLOAT

    def _by_row(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x, attributes = self._float(node.inputs[0]), node.attributes
        shape, frames = attributes["shape"], attributes["frames"]
        if abs(attributes.get("move", 0)) >= frames:
            raise UnsupportedProgramError("frames that move out of their clip")
        if x.shape != shape or x.frames != frames:
            raise UnsupportedProgramError(
                f"{frames} frames of {list(shape)} made of {x.frames} of {list(x.shape)}"
            )
        return x.shape, _FLOAT

    def _add_by_frame(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self._float(node.inputs[0])
        added = self._constant(node.inputs[1], "a sum with each frame")
        fits = added.shape in ((1, x.frames, x.shape[0]), (x.frames, x.shape[0]))
        if not x.is_pixel or not fits or added.dtype != _FLOAT:
            raise UnsupportedProgramError(f"a sum of frames and {list(added.shape)}")
        return x.shape, _FLOAT

    def _mix_frames(self, node: Node) -> tuple[tuple[int, ...], np.dtype]:
        x = self._float(node.inputs[0])
        matrix = self._constant(node.inputs[1], "a sum over frames")
        if not x.is_pixel or matrix.dtype != _FLOAT or matrix.shape[1:] != (x.frames,):
            raise DamagedProgramError(f"{list(matrix.shape)} times {x.frames} frames")
        return x.shape, _FLOAT


def _moved(node: Node, kernel: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of what a window gives that moves over a map."""
    attributes = node.attributes
    strides = attributes.get("strides", [1, 1])
    pads = attributes.get("pads", [0, 0, 0, 0])
    automatic = attributes.get("auto_pad", b"NOTSET")
    plain = attributes.get("dilations", [1, 1]) == [1, 1] and not attributes.get("ceil_mode", 0)
    valid = automatic in (b"NOTSET", b"") or (automatic == b"VALID" and not any(pads))
    if len(strides) != 2 or strides[0] != strides[1] or not plain or not valid:
        raise UnsupportedProgramError(f"{node.kind} with these strides, dilations or padding")
    if not 1 <= strides[0] < 2**16:
        raise UnsupportedProgramError(f"{node.kind} with strides {shown(strides)}")
    if node.kind == "AveragePool" and any(pads) and attributes.get("count_include_pad", 0):
        raise UnsupportedProgramError("average pooling that counts its padding")
    if not 1 <= kernel <= (LARGEST_KERNEL if node.kind == "Conv" else 2**15):
        raise UnsupportedProgramError(f"a kernel of {shown(kernel)}")
    if len(pads) != 4 or any(not 0 <= pad < kernel for pad in pads):
        raise UnsupportedProgramError(f"{node.kind} with pads {shown(pads)} of a kernel {kernel}")
    sizes = [shape[1] + pads[0] + pads[2] - kernel, shape[2] + pads[1] + pads[3] - kernel]
    if min(sizes) < 0:
        raise DamagedProgramError(f"{node.kind}: a kernel {kernel} larger than its map {shape}")
    return sizes[0] // strides[0] + 1, sizes[1] // strides[0] + 1
