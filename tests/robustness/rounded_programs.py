"""Random step programs with roundings to 8 bits, held against the same in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine
from robustness.onnx_programs import RandomProgram, feeds_of

_CPU = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")
_FUNCTIONS = ("Sin", "Cos", "Floor", "Reshape", "Cast", "Concat")
# One step of an early map that falls on the other side of a half changes all that depends on it.
_MOST, _MEAN = 0.08, 0.004  # differences from ONNX Runtime, of the largest value


class RoundedProgram(RandomProgram):
    """A random program in QDQ form: maps are rounded here and there, weights are often int8."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.sizes: dict[str, float] = {}
        self.scales: dict[str, float] = {}
        self.pixels = ""  # the frame as floats
        self.share = self._pick(0.3, 0.6, 0.9)

    def _node(self, kind: str, inputs: list[str], shape: tuple[int, ...], **attributes: Any) -> str:
        size = max((self.sizes.get(name, 1.0) for name in inputs if name), default=1.0)
        if kind == "Conv" and self.rng.random() < 0.8:
            inputs = [inputs[0], *self._whole_weights(*inputs)]
        name = super()._node(kind, inputs, shape, **attributes)
        self.sizes[name] = 255.0 if kind == "Cast" else size
        if inputs[0] in ("frame", self.pixels):  # rounded to steps of its own, or not at all
            self.pixels = name if kind in ("Cast", "Add") else ""
            if kind == "Cast" and self.rng.random() < 0.5:
                return self._rounded(name, shape, 1.0, 0)
            if self.pixels:
                return name
        if kind in _FUNCTIONS or len(shape) != 3 or self.rng.random() > self.share:
            return name
        scale = size / 2 ** self.rng.uniform(3, 7)
        return self._rounded(name, shape, scale, self._pick(0, 3, 100, 128, 255))

    def _rounded(self, name: str, shape: tuple[int, ...], scale: float, zero: int) -> str:
        """The map through a rounding; others may go on to read it unrounded."""
        pair = [f"{name}_s", f"{name}_z"]
        self.constants |= {pair[0]: np.array(scale, np.float32), pair[1]: np.array(zero, np.uint8)}
        whole = super()._node("QuantizeLinear", [name, *pair], shape)
        del self.maps[whole]
        if self.rng.random() < 0.7:
            del self.maps[name]
        values = super()._node("DequantizeLinear", [whole, *pair], shape)
        self.scales[values], self.sizes[values] = scale, self.sizes[name]
        return values

    def _whole_weights(self, x: str, weight: str, *bias: str) -> list[str]:
        """int8 with a scale for each channel; the bias of what reads a rounded map is int32."""
        floats = self.constants[weight]
        channels = len(floats)
        rows = floats.reshape(channels, -1)
        scale = (np.abs(rows).max(axis=1) / self._pick(127, 100, 64)).astype(np.float32)
        scale = np.maximum(scale, np.float32(1e-6))
        whole = np.clip(np.rint(rows / scale[:, None]), -128, 127).astype(np.int8)
        names = [self._values_of(weight, whole.reshape(floats.shape), scale)]
        if bias and x in self.scales:
            steps = scale * np.float32(self.scales[x])
            given = np.rint(self.constants[bias[0]] / steps).clip(-(2**20), 2**20)
            names.append(self._values_of(bias[0], given.astype(np.int32), steps))
        else:
            names += bias
        return names

    def _values_of(self, name: str, whole: np.ndarray, scale: np.ndarray) -> str:
        values = f"{name}_v{len(self.constants)}"
        parts = {"i": whole, "s": scale, "z": np.zeros(len(scale), whole.dtype)}
        self.constants |= {f"{values}_{part}": array for part, array in parts.items()}
        names = [f"{values}_{part}" for part in parts]
        node = onnx.helper.make_node("DequantizeLinear", names, [values], axis=0)
        self.nodes.append(node)
        return values


def run_rounded(path: Path, seed: int, in_integers: bool, is_checked: bool) -> str:
    """Open a file, and hold its results against those of its nodes one by one in ONNX Runtime.

    Args:
        in_integers: how it computes; else in float32, with the same roundings.
        is_checked: each operation is held against its form in NumPy, too.

    Returns:
        How it was computed.

    Raises:
        PaddleVideoError: the file is refused.
        AssertionError: the results differ.
    """
    model = onnx.load(str(path))
    names = tuple(item.name for item in model.graph.output)
    with pytest.MonkeyPatch.context() as patch:
        chosen = "paddlevideo.runtime.engines.compiled.integer_choice.integers_are_faster"
        patch.setattr(chosen, lambda _run: in_integers)
        patch.setenv("PADDLEVIDEO_CHECK", "1" if is_checked else "0")
        engine = CompiledEngine(path, names, _CPU)
    feeds = feeds_of(model, seed, batch=1 + seed % 3)
    assert feeds is not None
    found = engine.run(feeds)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 1, 4
    # Its rewriting leaves out roundings that follow each other.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path.read_bytes(), settings)
    for name, expected in zip(names, session.run(None, feeds), strict=True):
        difference = np.abs(found[name].astype(float) - expected)
        largest = max(float(np.abs(expected).max()), 1e-6)
        assert found[name].shape == expected.shape and found[name].dtype == expected.dtype, name
        assert difference.max() <= _MOST * largest, (name, difference.max(), largest)
        assert difference.mean() <= _MEAN * largest, (name, difference.mean(), largest)
    return engine.arithmetic
