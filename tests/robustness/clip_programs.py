"""Random programs of whole clips, written as `paddlevideo export` writes them."""

from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

_MATRICES = ("mean", "running mean", "random")


class RandomClip:
    """A network of a clip: a stem, blocks with kernels over time and gates, and a classifier.

    Args:
        seed: of sizes, kinds and weights.
        num_frames: T; by default random.
    """

    def __init__(self, seed: int, num_frames: int | None = None) -> None:
        self.rng = np.random.default_rng(seed)
        self.num_frames = num_frames or int(self.rng.integers(1, 12))
        self.side = (int(self.rng.integers(6, 24)), int(self.rng.integers(6, 40)))
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.causal = bool(self.rng.random() < 0.5)
        self.swish = bool(self.rng.random() < 0.6)

    def model(self) -> Any:
        """The ONNX file; its one output is ``logits`` [B, 5]."""
        size = self.side
        is_bytes = self.rng.random() < 0.7
        x = self._node("Reshape", ["clip", self._sizes(-1, 3, *size)])
        if is_bytes:
            x = self._node("Cast", [x], to=TensorProto.FLOAT)
        channels = self._channels()
        x = self._activated(self._conv(x, 3, channels, 3, stride=2, pads=[0, 0, 1, 1]))
        self.side = tuple((length + 1 - 3) // 2 + 1 for length in size)  # type: ignore[assignment]
        for _ in range(int(self.rng.integers(1, 4))):
            x, channels = self._block(x, channels)
        logits = self._head(x, channels)
        kind = TensorProto.UINT8 if is_bytes else TensorProto.FLOAT
        clip = helper.make_tensor_value_info("clip", kind, ["batch", self.num_frames, 3, *size])
        result = helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["batch", 5])
        tensors = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "g", [clip], [result], tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        checker.check_model(model)
        return model

    def _node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _constant(self, value: np.ndarray) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def _sizes(self, *sizes: int) -> str:
        return self._constant(np.array(sizes, np.int64))

    def _floats(self, *shape: int) -> str:
        scale = max(1, int(np.prod(shape[1:]))) ** -0.5
        return self._constant((scale * self.rng.standard_normal(shape)).astype(np.float32))

    def _channels(self) -> int:
        return int(self.rng.choice([2, 5, 8, 16, 20, 40]))

    def _conv(self, x: str, inner: int, outer: int, kernel: int = 1, **window: Any) -> str:
        stride = window.pop("stride", 1)
        inputs = [x, self._floats(outer, inner, kernel, kernel), self._floats(outer)]
        return self._node("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, **window)

    def _activated(self, x: str) -> str:
        if self.swish:
            return self._node("Mul", [x, self._node("Sigmoid", [x])])
        gate = self._node("HardSigmoid", [x], alpha=1 / 6, beta=0.5)
        return self._node("Mul", [x, gate])

    def _block(self, x: str, channels: int) -> tuple[str, int]:
        wide, out = self._channels(), self._channels()
        expanded = self._activated(self._conv(x, channels, wide))
        stride = int(self.rng.choice([1, 1, 2]))
        kernel = int(self.rng.choice([k for k in (1, 3, 5) if k < min(self.side)] or [1]))
        if self.causal:
            expanded = self._activated(self._over_time(expanded, wide, 1, kernel, stride))
            kernel, inner_stride = 1, 1
        else:
            inner_stride = stride
        length = int(self.rng.choice([1, 3, 3, 5]))
        maps = self._activated(self._over_time(expanded, wide, length, kernel, inner_stride))
        if self.rng.random() < 0.7:
            maps = self._node("Mul", [maps, self._gate(maps, wide)])
        projected = self._conv(maps, wide, out)
        if stride == 1 and out == channels:
            projected = self._node("Add", [projected, x])
        return projected, out

    def _over_time(self, x: str, channels: int, length: int, kernel: int, stride: int) -> str:
        """A depthwise kernel of ``length`` frames."""
        before = length - 1 if self.causal else length // 2
        moves = sorted((frame - before for frame in range(length)), key=abs)
        moves = [move for move in moves if abs(move) < self.num_frames]
        old = self.side
        window = {
            "kernel_shape": [kernel] * 2,
            "strides": [stride] * 2,
            "pads": [kernel // 2] * 4,
            "group": channels,
        }
        size = tuple((side + 2 * (kernel // 2) - kernel) // stride + 1 for side in old)
        self.side = size  # type: ignore[assignment]
        total = ""
        for move in moves:
            inputs = [x, self._floats(channels, 1, kernel, kernel)]
            if not move:
                total = self._node("Conv", [*inputs, self._floats(channels)], **window)
                continue
            tap = self._moved(self._node("Conv", inputs, **window), channels, move)
            total = self._node("Add", [total, tap])
        return total

    def _moved(self, x: str, channels: int, move: int) -> str:
        lost, kept = abs(move), max(move, 0)
        size = channels * self.side[0] * self.side[1]
        flat = self._node("Reshape", [x, self._sizes(-1, self.num_frames, size)])

        def frames(first: int, last: int) -> str:
            numbers = [self._sizes(number) for number in (first, last, 1, 1)]
            return self._node("Slice", [flat, *numbers])

        shape = self._node("Shape", [frames(0, lost)])
        zeros = self._node("Expand", [self._constant(np.zeros(1, np.float32)), shape])
        inside = frames(kept, kept + self.num_frames - lost)
        parts = [inside, zeros] if move > 0 else [zeros, inside]
        moved = self._node("Concat", parts, axis=1)
        return self._node("Reshape", [moved, self._sizes(-1, channels, *self.side)])

    def _matrix(self) -> np.ndarray:
        frames, kind = self.num_frames, self.rng.choice(_MATRICES)
        if kind == "mean":
            return np.full((frames, frames), 1 / frames, np.float32)
        if kind == "running mean":
            return np.tril(np.ones((frames, frames), np.float32)) / np.arange(
                1, frames + 1, dtype=np.float32
            ).reshape(-1, 1)
        return self.rng.standard_normal((frames, frames)).astype(np.float32)

    def _gate(self, x: str, channels: int) -> str:
        by_frame = self._by_frame(x, channels)
        if self.rng.random() < 0.4:
            by_frame = self._node("Add", [by_frame, self._floats(1, self.num_frames, channels)])
        mixed = self._node("MatMul", [self._constant(self._matrix()), by_frame])
        inner = channels
        if self.rng.random() < 0.5:
            mixed = self._node("Concat", [mixed, by_frame], axis=2)
            inner = 2 * channels
        rows = self._node("Reshape", [mixed, self._sizes(-1, inner, 1, 1)])
        hidden = self._channels()
        gate = self._conv(self._activated(self._conv(rows, inner, hidden)), hidden, channels)
        return self._node("Sigmoid", [gate])

    def _by_frame(self, x: str, channels: int) -> str:
        pooled = self._node("GlobalAveragePool", [x])
        return self._node("Reshape", [pooled, self._sizes(-1, self.num_frames, channels)])

    def _head(self, x: str, channels: int) -> str:
        mean = np.full((1, self.num_frames), 1 / self.num_frames, np.float32)
        by_frame = self._by_frame(x, channels)
        pooled = self._node("MatMul", [self._constant(mean), by_frame])
        rows = self._node("Reshape", [pooled, self._sizes(-1, channels, 1, 1)])
        hidden = self._activated(self._conv(rows, channels, 24))
        logits = self._conv(hidden, 24, 5)
        return self._node("Reshape", [logits, self._sizes(-1, 5)])
