"""ONNX files for tests of the engines: random small step programs, and what runs one in each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from paddlevideo.runtime.engines import EngineOptions, ProgramFiles, open_engine
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine
from paddlevideo.runtime.engines.onnx_file import read_model

_ACTIVATIONS = ("Relu", "HardSwish", "HardSigmoid", "Sigmoid", "Clip", "swish", "silu", "own gate")
LIMIT_OF_ELEMENTS = 4_000_000


class RandomProgram:
    """Nodes over maps, each step on a map that an earlier one made, drawn by ``seed``."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.inputs: dict[str, tuple[tuple[int, ...], int]] = {}
        self.maps: dict[str, tuple[int, ...]] = {}
        self.read: set[str] = set()
        self.extra: list[tuple[str, tuple[int, ...], int]] = []
        self.channels = self._pick(1, 2, 3, 5, 8, 13, 16, 24, 33)
        self.side = (int(self.rng.integers(1, 22)), int(self.rng.integers(1, 22)))

    def model(self) -> Any:
        """The finished ``onnx.ModelProto``."""
        if self.rng.random() < 0.6:
            self._frame()
        for number in range(int(self.rng.integers(1, 4))):
            self._input(f"state{number}")
        steps = (self._conv, self._conv, self._depthwise, self._activation, self._activation,
                 self._gate, self._arithmetic, self._pool, self._taps)  # fmt: skip
        for _ in range(int(self.rng.integers(1, 9))):
            steps[int(self.rng.integers(len(steps)))]()
        if self.rng.random() < 0.4:
            self._classifier()
        if self.rng.random() < 0.3:
            self._counter()
        return self._finish()

    def _pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def _floats(self, *shape: int) -> str:
        name = f"k{len(self.constants)}"
        scale = 1 / math.sqrt(max(math.prod(shape[1:]), 1))
        self.constants[name] = (self.rng.standard_normal(shape) * scale).astype(np.float32)
        return name

    def _node(self, kind: str, inputs: list[str], shape: tuple[int, ...], **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        self.read |= set(inputs)
        self.maps[name] = shape
        return name

    def _input(self, name: str) -> None:
        shape = (self.channels, *self.side)
        self.inputs[name] = (shape, TensorProto.FLOAT)
        self.maps[name] = shape

    def _any(self) -> str:
        names = [name for name, shape in self.maps.items() if len(shape) == 3]
        place = len(names) - 1 if self.rng.random() < 0.6 else int(self.rng.integers(len(names)))
        return names[place]

    def _frame(self) -> None:
        planes = self._pick(1, 3)
        shape = (planes, *self.side)
        is_bytes = self.rng.random() < 0.7
        self.inputs["frame"] = (shape, TensorProto.UINT8 if is_bytes else TensorProto.FLOAT)
        x = "frame"
        if is_bytes:
            x = self._node("Cast", ["frame"], shape, to=TensorProto.FLOAT)
        else:
            self.maps["frame"] = shape
        if self.rng.random() < 0.6:
            x = self._node("Add", [x, self._floats(1, self._pick(1, planes), 1, 1)], shape)
        self.maps = {}  # mostly nothing but the convolution reads a frame
        kernel = min(self._pick(1, 3, 3, 5), *self.side)
        weight = self._floats(self.channels, planes, kernel, kernel)
        y = self._window("Conv", [x, weight, self._floats(self.channels)], shape, kernel,
                         self.channels)  # fmt: skip
        if self.rng.random() < 0.15:
            self.maps[x] = shape
        self.side = self.maps[y][1:]  # type: ignore[assignment]

    def _window(
        self, kind: str, inputs: list[str], shape: tuple[int, ...], kernel: int, channels: int,
        **more: Any,
    ) -> str:  # fmt: skip
        stride = self._pick(1, 1, 1, 2, 3)
        pads = [int(self.rng.integers(0, kernel)) if self.rng.random() < 0.7 else 0
                for _ in range(4)]  # fmt: skip
        sizes = [(shape[1 + axis] + pads[axis] + pads[axis + 2] - kernel) // stride + 1
                 for axis in (0, 1)]  # fmt: skip
        return self._node(kind, inputs, (channels, *sizes), kernel_shape=[kernel, kernel],
                          strides=[stride, stride], pads=pads, **more)  # fmt: skip

    def _conv(self) -> None:
        x = self._any()
        shape = self.maps[x]
        out = self._pick(1, 4, self.channels, 17, 40)
        if self.rng.random() < 0.85:
            inputs = [x, self._floats(out, shape[0], 1, 1), self._floats(out)]
            self._node("Conv", inputs[: self._pick(2, 3)], (out, *shape[1:]), kernel_shape=[1, 1])
        else:
            kernel = min(self._pick(2, 3), *shape[1:])
            self._window("Conv", [x, self._floats(out, shape[0], kernel, kernel)], shape, kernel,
                         out)  # fmt: skip

    def _depthwise(self) -> None:
        x = self._any()
        shape = self.maps[x]
        kernel = min(self._pick(1, 2, 3, 3, 5, 7), *shape[1:])
        weight = self._floats(shape[0], 1, kernel, kernel)
        self._window("Conv", [x, weight, self._floats(shape[0])], shape, kernel, shape[0],
                     group=shape[0])  # fmt: skip

    def _activation(self) -> None:
        x = self._any()
        shape, kind = self.maps[x], self._pick(*_ACTIVATIONS)
        if kind == "Clip":
            low, high = f"k{len(self.constants)}", f"k{len(self.constants) + 1}"
            self.constants |= {low: np.array(-0.5, np.float32), high: np.array(0.7, np.float32)}
            self._node("Clip", [x, self._pick("", low), high], shape)
        elif kind in ("swish", "silu", "own gate"):
            gate = self._node("Sigmoid" if kind == "silu" else "HardSigmoid", [x], shape)
            pair = [gate, gate] if kind == "own gate" else self._pick([x, gate], [gate, x])
            self._node("Mul", pair, shape)
        else:
            self._node(kind, [x], shape)

    def _gate(self) -> None:
        x = self._any()
        shape = self.maps[x]
        pixel = (shape[0], 1, 1)
        mean = self._node("GlobalAveragePool", [x], pixel)
        if self.rng.random() < 0.5:
            mean = self._node("Concat", [mean, mean], (2 * shape[0], 1, 1), axis=1)
        weight = self._floats(shape[0], self.maps[mean][0], 1, 1)
        gate = self._node("Conv", [mean, weight], pixel)
        gate = self._node(self._pick("Sigmoid", "HardSigmoid"), [gate], pixel)
        self._node("Mul", self._pick([x, gate], [gate, x]), shape)

    def _arithmetic(self) -> None:
        x = self._any()
        shape = self.maps[x]
        same = [name for name, other in self.maps.items() if other == shape]
        other = self._pick(*same, *same, None)
        if other is None:
            other = self._floats(1, *self._pick((1, 1, 1), (shape[0], 1, 1), shape))
        self._node(self._pick("Add", "Add", "Mul"), self._pick([x, other], [other, x]), shape)

    def _pool(self) -> None:
        x = self._any()
        shape = self.maps[x]
        kernel = min(self._pick(2, 3), *shape[1:])
        self._window("AveragePool", [x], shape, kernel, shape[0],
                     count_include_pad=self._pick(0, 0, 0, 1))  # fmt: skip

    def _taps(self) -> None:
        x = self._any()
        shape = self.maps[x]
        same = [name for name, other in self.maps.items() if other == shape]
        last = ""
        for _ in range(int(self.rng.integers(2, 5))):
            inputs = [self._pick(*same), self._floats(shape[0], 1, 1, 1)]
            tap = self._node("Conv", inputs, shape, group=shape[0])
            last = self._node("Add", [last, tap], shape) if last else tap

    def _classifier(self) -> None:
        x = self._any()
        channels = self.maps[x][0]
        mean = self._node("GlobalAveragePool", [x], (channels, 1, 1))
        weight = self._floats(7, channels, 1, 1)
        logits = self._node("Conv", [mean, weight, self._floats(7)], (7, 1, 1))
        self.constants["rows"] = np.array(self._pick([-1, 7], [0, 7], [0, -1]), np.int64)
        self._node("Reshape", [logits, "rows"], (7,))

    def _counter(self) -> None:
        shape = (1, 1, 1)
        self.inputs["count"] = (shape, TensorProto.INT32)
        self.constants["one"] = np.ones((1, 1, 1, 1), np.int32)
        self.nodes.append(helper.make_node("Add", ["count", "one"], ["next"]))
        self.extra.append(("next", shape, TensorProto.INT32))
        number = self._node("Cast", ["count"], shape, to=TensorProto.FLOAT)
        self._node(self._pick("Sin", "Cos", "Floor"), [number], shape)

    def _finish(self) -> Any:
        ends = [n for n in self.maps if n not in self.read and n not in self.inputs]
        inner = [n for n in self.maps if n in self.read and n not in self.inputs]
        if inner and self.rng.random() < 0.5:
            ends.append(self._pick(*inner))
        if not ends:
            ends = list(self.maps)[-1:]
        chosen = [(name, self.maps[name], TensorProto.FLOAT) for name in ends] + self.extra
        infos = [
            helper.make_tensor_value_info(name, kind, ["batch", *shape])
            for name, (shape, kind) in self.inputs.items()
        ]
        outputs = [
            helper.make_tensor_value_info(name, kind, ["batch", *shape])
            for name, shape, kind in chosen
        ]
        tensors = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "g", infos, outputs, tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        return model


def step_program() -> Any:
    """All kinds of operations of a step: frame, expansion, window, taps, gate, logits, counter."""
    rng = np.random.default_rng(0)

    def floats(*shape):
        return (rng.standard_normal(shape) / 4).astype(np.float32)

    constants = {
        "offset": floats(1, 3, 1, 1), "w0": floats(16, 3, 3, 3), "b0": floats(16),
        "w1": floats(20, 16, 1, 1), "b1": floats(20), "w2": floats(20, 1, 3, 3), "b2": floats(20),
        "w3": floats(20, 1, 1, 1), "w4": floats(20, 20, 1, 1), "b4": floats(20),
        "w5": floats(7, 20, 1, 1), "one": np.ones((1, 1, 1, 1), np.int32),
        "low": np.array(0, np.float32), "high": np.array(6, np.float32),
        "rows": np.array([-1, 7], np.int64),
    }  # fmt: skip
    node = helper.make_node
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        node("Cast", ["frame"], ["f"], to=TensorProto.FLOAT),
        node("Add", ["f", "offset"], ["o"]),
        node("Conv", ["o", "w0", "b0"], ["c0"], strides=[2, 2], **window),
        node("HardSwish", ["c0"], ["a0"]),
        node("Conv", ["a0", "w1", "b1"], ["c1"], kernel_shape=[1, 1]),
        node("Clip", ["c1", "low", "high"], ["a1"]),
        node("Conv", ["a1", "w2", "b2"], ["c2"], group=20, strides=[1, 1], **window),
        node("Conv", ["c2", "w3"], ["t0"], group=20),
        node("Conv", ["state", "w3"], ["t1"], group=20),
        node("Add", ["t0", "t1"], ["t"]),
        node("GlobalAveragePool", ["t"], ["m"]),
        node("Conv", ["m", "w4", "b4"], ["g0"]),
        node("HardSigmoid", ["g0"], ["g"], alpha=0.2, beta=0.5),
        node("Mul", ["t", "g"], ["s"]),
        node("AveragePool", ["s"], ["p"], count_include_pad=0, **window),
        node("GlobalAveragePool", ["p"], ["q"]),
        node("Concat", ["q", "m"], ["both"], axis=1),
        node("Conv", ["q", "w5"], ["l"]),
        node("Reshape", ["l", "rows"], ["logits"]),
        node("Add", ["count", "one"], ["next"]),
    ]
    info = helper.make_tensor_value_info
    inputs = [
        info("frame", TensorProto.UINT8, ["batch", 3, 34, 36]),
        info("state", TensorProto.FLOAT, ["batch", 20, 17, 18]),
        info("count", TensorProto.INT32, ["batch", 1, 1, 1]),
    ]
    outputs = [
        info("logits", TensorProto.FLOAT, ["batch", 7]),
        info("c2", TensorProto.FLOAT, ["batch", 20, 17, 18]),
        info("both", TensorProto.FLOAT, ["batch", 40, 1, 1]),
        info("next", TensorProto.INT32, ["batch", 1, 1, 1]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def feeds_of(model: Any, seed: int, batch: int) -> dict[str, np.ndarray] | None:
    """Random inputs of the sizes a file declares; None where they are unusual."""
    rng = np.random.default_rng(seed)
    constants = {tensor.name for tensor in model.graph.initializer}
    feeds = {}
    for item in model.graph.input:
        if item.name in constants:
            continue
        kind = item.type.tensor_type
        shape = [dim.dim_value or batch for dim in kind.shape.dim]
        if kind.shape.dim and kind.shape.dim[0].dim_value:
            shape[0] = kind.shape.dim[0].dim_value
        if math.prod(shape) > LIMIT_OF_ELEMENTS:
            return None
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if dtype == np.uint8:
            feeds[item.name] = rng.integers(0, 256, shape, np.uint8)
        elif np.issubdtype(dtype, np.integer):
            feeds[item.name] = rng.integers(0, 9, shape).astype(dtype)
        else:
            feeds[item.name] = rng.standard_normal(shape).astype(dtype)
    return feeds


def run_file(path: Path, engine: str, seed: int = 0, batch: int = 2, broken: bool = False) -> str:
    """Open a file, run it, and hold the compiled engine's results against ONNX Runtime's.

    Args:
        broken: put what is no number into the first input of floats.

    Raises:
        PaddleVideoError: the file is refused.
        AssertionError: the results differ.
    """
    options = EngineOptions(device="cpu", cpu_threads=1, engine=engine)  # type: ignore[arg-type]
    try:
        names = tuple(item.name for item in onnx.load(str(path)).graph.output)
    except Exception:  # noqa: BLE001 - the engine is to say what is wrong with it
        names = ("y",)
    opened = open_engine(ProgramFiles({"onnx": (path,)}, names), options)
    model = read_model(path)
    feeds = feeds_of(model, seed, batch)
    if feeds is None:
        return "too large to run"
    for value in [value for value in feeds.values() if broken and value.dtype == np.float32][:1]:
        value[0].reshape(-1)[::7] = np.nan
    ours = opened.run(feeds)
    if not isinstance(opened, CompiledEngine):
        return opened.name
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(path.read_bytes(), settings)
    for name, expected in zip(names, session.run(None, feeds), strict=True):
        found = ours[name]
        assert found.shape == expected.shape and found.dtype == expected.dtype, name
        # Which sums overflow depends on their order; that some did must show.
        whole = np.isfinite(expected).all()
        assert np.isfinite(found).all() == whole, f"{name}: an overflow does not show"
        if broken:
            assert (np.isfinite(found) == np.isfinite(expected)).all(), name
        both = np.isfinite(found) & np.isfinite(expected)
        if not whole and not broken:
            continue
        largest = np.abs(expected[both]).max(initial=0)
        worst = np.abs(found[both].astype(float) - expected[both]).max(initial=0)
        assert worst <= 1e-6 + 1e-4 * largest, f"{name}: off by {worst} of {largest}"
    return opened.name
