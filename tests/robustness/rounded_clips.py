"""Random programs of whole clips in QDQ form, as `paddlevideo quantize` writes them."""

from typing import Any

import numpy as np
from onnx import helper

from robustness.clip_programs import RandomClip

_STEPS = 128  # from zero to what a map is taken to hold


class RoundedClip(RandomClip):
    """A random clip whose maps are rounded behind most operations, and whose weights are int8.

    Args:
        seed: of sizes, kinds, weights and of what is rounded.
        num_frames: T; by default random.
        share: of the maps that are rounded; by default random.
    """

    def __init__(
        self, seed: int, num_frames: int | None = None, share: float | None = None
    ) -> None:
        super().__init__(seed, num_frames)
        self.share = share or float(self.rng.choice([0.6, 0.9, 1.0]))
        self.scales: dict[str, float] = {}  # of maps that are rounded
        self.sizes: dict[str, float] = {}  # about what numbers a map holds
        self.tap_scales: dict[str, np.ndarray] = {}
        self.rounded: list[str] = []  # maps on 8 bits

    def _node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        size = self.sizes.get(inputs[0], 1.0)
        of_bytes = any(name in self.scales for name in inputs)
        if kind == "Conv" and inputs[0] in self.scales:
            inputs = [inputs[0], *self._whole_weights(inputs, attributes.get("group", 1))]
        name = super()._node(kind, inputs, **attributes)
        self.sizes[name] = 150.0 if kind == "Cast" else size
        if kind == "Cast":
            return self._round(name, 1.0, 0)
        return self._maybe_round(name) if kind == "Mul" and of_bytes else name

    def _conv(self, x: str, inner: int, outer: int, kernel: int = 1, **window: Any) -> str:
        name = super()._conv(x, inner, outer, kernel, **window)
        return self._maybe_round(name) if x in self.scales else name

    def _over_time(self, x: str, channels: int, length: int, kernel: int, stride: int) -> str:
        name = super()._over_time(x, channels, length, kernel, stride)
        return self._maybe_round(name) if x in self.scales else name

    def _block(self, x: str, channels: int) -> tuple[str, int]:
        name, out = super()._block(x, channels)
        return (name if name in self.scales else self._maybe_round(name)), out

    def _maybe_round(self, name: str) -> str:
        if self.rng.random() > self.share:
            return name
        scale = 4 * self.sizes.get(name, 1.0) / _STEPS
        return self._round(name, scale, int(self.rng.choice([0, 100, 128, 200])))

    def _round(self, name: str, scale: float, zero: int) -> str:
        pair = [self._constant(np.float32(scale)), self._constant(np.uint8(zero))]
        self.constants[pair[0]] = np.array(scale, np.float32)
        self.constants[pair[1]] = np.array(zero, np.uint8)
        whole = super()._node("QuantizeLinear", [name, *pair])
        values = super()._node("DequantizeLinear", [whole, *pair])
        self.scales[values], self.sizes[values] = scale, self.sizes.get(name, 1.0)
        self.rounded.append(whole)
        return values

    def _whole_weights(self, inputs: list[str], groups: int) -> list[str]:
        """int8 with a scale for each channel, the same for all frames of a kernel; int32 biases."""
        x, weight, *bias = inputs
        floats = self.constants.pop(weight)
        rows = floats.reshape(len(floats), -1)
        scale = np.maximum(np.abs(rows).max(axis=1) / 127, 1e-6).astype(np.float32)
        if groups > 1:
            scale = self.tap_scales.setdefault(x, scale)
        whole = np.clip(np.rint(rows / scale[:, None]), -127, 127).astype(np.int8)
        names = [self._values_of(weight, whole.reshape(floats.shape), scale)]
        if bias:
            steps = scale * np.float32(self.scales[x])
            sums = np.rint(self.constants.pop(bias[0]) / steps).clip(-(2**24), 2**24)
            names.append(self._values_of(bias[0], sums.astype(np.int32), steps))
        return names

    def _values_of(self, name: str, whole: np.ndarray, scale: np.ndarray) -> str:
        parts = {"i": whole, "s": scale, "z": np.zeros(len(scale), whole.dtype)}
        self.constants |= {f"{name}_{part}": array for part, array in parts.items()}
        names = [f"{name}_{part}" for part in parts]
        self.nodes.append(helper.make_node("DequantizeLinear", names, [f"{name}_v"], axis=0))
        return f"{name}_v"
