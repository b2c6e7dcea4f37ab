"""A MoViNet stream as a ``.tflite`` file, in the forms that converters give it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.tflite.writer import FLOAT, INT8, INT32, Net
from paddlevideo.modeling.layers.folding import affine_of

_FUSED = {"identity": 0, "relu": 1, "relu6": 3}


@dataclass(frozen=True)
class Form:
    """How a converter writes things.

    Attributes:
        numbers: ``float32``, ``float16``, ``dynamic`` or ``int8``.
        rezero: ``scalar``, ``whole`` or ``folded``.
        mean: ``mean``, ``sum`` or ``pool``.
        dense: ``conv`` or ``fully_connected``.
        gate_bias: ``folded``, or ``added`` by an operation.
        activation: ``fused``, or ``apart`` (relu6).
        hard_swish: ``whole``, or in its operations: ``sixth of all``, ``of x``, ``of gate``.
        per_tensor: one scale for a whole int8 kernel.
    """

    numbers: str = "float32"
    rezero: str = "scalar"
    mean: str = "mean"
    dense: str = "conv"
    gate_bias: str = "folded"
    activation: str = "fused"
    hard_swish: str = "whole"
    softmax: bool = False
    swapped: bool = False
    pixels: bool = False
    per_tensor: bool = False


class _Writer:
    def __init__(self, model, form: Form, size: int) -> None:
        self.model, self.form, self.size = model, form, size
        self.net = Net()
        self.options = model.backbone.options
        self.count = None

    def weight(self, array: np.ndarray, axis: int) -> int:
        numbers = self.form.numbers
        if numbers == "float32":
            return self.net.constant(array.astype("<f4"))
        if numbers == "float16":
            half = self.net.constant(array.astype("<f2"))
            return self.net.op("dequantize", [half], array.shape)
        others = tuple(a for a in range(array.ndim) if a != axis)
        largest = np.abs(array).max(axis=None if self.form.per_tensor else others)
        scale = np.maximum(largest, 1e-9).astype("<f4") / np.float32(127)
        shape = [1] * array.ndim
        if not self.form.per_tensor:
            shape[axis] = -1
        return self.net.constant(np.rint(array / scale.reshape(shape)).astype("i1"), scale, axis)

    def bias(self, array: np.ndarray) -> int:
        if self.form.numbers == "int8":
            scale = np.full(len(array), 2.0**-20, "<f4")
            return self.net.constant(np.rint(array / scale).astype("<i4"), scale)
        return self.net.constant(array.astype("<f4"))

    def value(self, kind: str, inputs, shape, options=None) -> int:
        """An operation on values; in an int8 network its result is int8."""
        quantised = self.form.numbers == "int8"
        return self.net.op(
            kind, inputs, shape, options, INT8 if quantised else FLOAT, [0.1] if quantised else None
        )

    def reshape(self, x: int, shape) -> int:
        return self.value("reshape", [x, self.net.constant(np.array(shape, "<i4"))], shape)

    def product(self, kind, x, kernel, bias, shape, activation, stride=1, valid=0) -> int:
        """A convolution with its activation."""
        fused = 0
        if activation in _FUSED and self.form.activation == "fused":
            fused = _FUSED[activation]
        window = {0: ("b", valid), 1: ("i", stride), 2: ("i", stride)}
        if kind == "conv":
            inputs = [x, self.weight(kernel, 0), self.bias(bias)]
            options = {**window, 3: ("b", fused)}
        elif kind == "fully_connected":
            inputs = [x, self.weight(kernel[:, 0, 0], 0), self.bias(bias)]
            options = {0: ("b", fused), 2: ("b", 1)}
        else:
            inputs = [x, self.weight(kernel, 3), self.bias(bias)]
            options = {**window, 3: ("i", 1), 4: ("b", fused)}
        y = self.value(kind, inputs, shape, options)
        return y if fused or activation == "identity" else self.activate(y, shape, activation)

    def activate(self, y: int, shape, activation: str) -> int:
        if activation == "swish":
            return self.value("mul", [y, self.value("logistic", [y], shape)], shape, {})
        if activation == "hard_swish" and self.form.hard_swish != "whole":
            return self.hard_swish(y, shape)
        name = {"sigmoid": "logistic"}.get(activation, activation)
        return self.value(name, [y], shape)

    def hard_swish(self, y: int, shape) -> int:
        """``x * relu6(x + 3) * 1/6``, with the sixth at any place."""
        three, sixth = (self.net.constant(np.array(v, "<f4")) for v in (3.0, 1 / 6))
        fused = self.form.activation == "fused"
        gate = self.value("add", self.ordered(y, three), shape, {0: ("b", 3 if fused else 0)})
        gate = gate if fused else self.value("relu6", [gate], shape)
        place = self.form.hard_swish
        if place == "sixth of gate":
            gate = self.value("mul", self.ordered(gate, sixth), shape, {})
        if place == "sixth of x":
            y = self.value("mul", self.ordered(y, sixth), shape, {})
        result = self.value("mul", self.ordered(y, gate), shape, {})
        if place == "sixth of all":
            result = self.value("mul", self.ordered(result, sixth), shape, {})
        return result

    def block_layer(self, part, x: int, shape, activation, factor: float = 1.0) -> int:
        """A pointwise or full convolution with the batch norm of ``part``."""
        scale, shift = affine_of(part.bn)
        kernel = part.conv.weight.numpy()[:, :, 0] * (scale * factor)[:, None, None, None]
        return self.product(
            "conv", x, kernel.transpose(0, 2, 3, 1), shift * factor, shape, activation,
            part.conv.stride,
        )  # fmt: skip

    def depthwise(self, part, x: int, shape, over_time: bool = False) -> int:
        scale, shift = affine_of(part.bn)
        kernel = part.conv.weight.numpy()[:, 0] * scale[:, None, None, None]
        kernel = kernel[..., 0] if over_time else kernel[:, 0]
        return self.product(
            "depthwise_conv", x, kernel.transpose(1, 2, 0)[None], shift, shape,
            self.options.activation, part.conv.stride, valid=int(over_time),
        )  # fmt: skip

    def mean(self, x: int, size: int, channels: int) -> int:
        """The mean of [1, size, size, C] as [1, 1, 1, C]."""
        shape = (1, 1, 1, channels)
        if self.form.mean == "pool":
            options = {0: ("b", 1), 1: ("i", 1), 2: ("i", 1), 3: ("i", size), 4: ("i", size)}
            return self.value("average_pool", [x], shape, options)
        axes = self.net.constant(np.array([1, 2], "<i4"))
        if self.form.mean == "mean":
            return self.value("mean", [x, axes], shape, {0: ("b", 1)})
        total = self.value("sum", [x, axes], shape, {0: ("b", 1)})
        share = self.net.constant(np.array(1.0 / size**2, "<f4"))
        return self.value("mul", self.ordered(total, share), shape, {})

    def ordered(self, first: int, second: int) -> list[int]:
        return [second, first] if self.form.swapped else [first, second]

    def running_mean(self, frame: int, channels: int) -> int:
        shape = (1, 1, 1, channels)
        state, count = self.net.input(shape), self.net.input((1,), INT32)
        total = self.value("add", self.ordered(frame, state), shape, {})
        one = self.net.constant(np.array(1, "<i4"))
        more = self.net.op("add", [count, one], (1,), {}, INT32)
        self.net.outputs += [total, more]
        number = self.net.op("cast", [more], (1,))
        return self.value("div", [total, number], shape, {})

    def dense(self, layer, x: int, activation: str, offset: float = 0.0) -> int:
        kernel = layer.weight.numpy().T
        shape = (1, 1, 1, len(kernel))
        bias = layer.bias.numpy() + offset
        return self.product(self.form.dense, x, kernel[:, None, None], bias, shape, activation)

    def gate(self, attention, x: int, size: int, channels: int) -> int:
        frame = pooled = self.mean(x, size, channels)
        if attention.se_type != "2d":
            pooled = self.running_mean(frame, channels)
        if attention.se_type == "2plus3d":
            shape = (1, 1, 1, 2 * channels)
            pooled = self.value("concatenation", [pooled, frame], shape, {0: ("i", -1)})
        hidden = self.dense(attention.reduce, pooled, self.options.activation)
        shape = (1, 1, 1, channels)
        if self.options.gating_activation == "sigmoid":
            gate = self.dense(attention.expand, hidden, "sigmoid")
        else:
            if self.form.gate_bias == "folded":
                gate = self.dense(attention.expand, hidden, "relu6", offset=3.0)
            else:
                gate = self.dense(attention.expand, hidden, "identity")
                three = self.net.constant(np.array(3.0, "<f4"))
                gate = self.value("add", self.ordered(gate, three), shape, {0: ("b", 3)})
            sixth = self.net.constant(np.array(0.16667, "<f4"))
            gate = self.value("mul", self.ordered(gate, sixth), shape, {})
        return self.value("mul", self.ordered(x, gate), (1, size, size, channels), {})

    def feature(self, block, x: int, size: int) -> int:
        channels = block.spec.expand_channels
        shape = (1, size, size, channels)
        x = self.depthwise(block.feature.spatial, x, shape)
        if block.feature.temporal is None:
            return x
        frames = block.spec.kernel[0]
        past = self.net.input((1, frames - 1, size, size, channels))
        if self.form.numbers == "int8":
            past = self.value("quantize", [past], self.net.shapes[past])
        x = self.reshape(x, (1, 1, *shape[1:]))
        full = (1, frames, *shape[1:])
        x = self.value("concatenation", [past, x], full, {0: ("i", 1)})
        begin, end, step = (
            self.net.constant(np.array(v, "<i4")) for v in ([0, 1, 0, 0, 0], full, [1, 1, 1, 1, 1])
        )
        kept = (1, frames - 1, *shape[1:])
        self.net.outputs.append(self.value("strided_slice", [x, begin, end, step], kept, {}))
        x = self.reshape(x, (1, frames, size * size, channels))
        x = self.depthwise(block.feature.temporal, x, (1, 1, size * size, channels), True)
        return self.reshape(x, shape)

    def block(self, block, x: int, size: int) -> tuple[int, int]:
        spec, start = block.spec, x
        inner = (1, size, size, spec.expand_channels)
        out_size = -(-size // spec.stride)
        shape = (1, out_size, out_size, spec.out_channels)
        y = self.block_layer(block.expand, x, inner, self.options.activation)
        y = self.feature(block, y, out_size)
        if block.attention is not None:
            y = self.gate(block.attention, y, out_size, spec.expand_channels)
        factor = block.rezero.scale.numpy()
        folded = self.form.rezero == "folded"
        y = self.block_layer(
            block.project, y, shape, "identity", float(factor[0]) if folded else 1.0
        )
        if not folded:
            whole = np.full(shape if self.form.rezero == "whole" else (), factor[0], "<f4")
            y = self.value("mul", self.ordered(y, self.net.constant(whole)), shape, {})
        if block.shortcut is not None:
            if spec.stride > 1:
                options = {1: ("i", 2), 2: ("i", 2), 3: ("i", 3), 4: ("i", 3)}
                pooled = (1, out_size, out_size, spec.in_channels)
                start = self.value("average_pool", [start], pooled, options)
            start = self.block_layer(block.shortcut.project, start, shape, "identity")
        return self.value("add", self.ordered(y, start), shape, {}), out_size

    def write(self) -> Net:
        backbone, net = self.model.backbone, self.net
        x = net.input((1, 1, self.size, self.size, 3), name="serving_default_image:0")
        if self.form.numbers == "int8":
            x = self.value("quantize", [x], (1, 1, self.size, self.size, 3))
        x = self.reshape(x, (1, self.size, self.size, 3))
        if self.form.pixels:
            share = net.constant(np.array(1 / 255, "<f4"))
            x = self.value("mul", [x, share], (1, self.size, self.size, 3), {})
        size = -(-self.size // 2)
        act = self.options.activation
        x = self.block_layer(backbone.stem, x, (1, size, size, backbone.spec.stem_channels), act)
        for block in backbone.blocks.values():
            x, size = self.block(block, x, size)
        channels = backbone.out_channels
        x = self.block_layer(backbone.project, x, (1, size, size, channels), act)
        x = self.running_mean(self.mean(x, size, channels), channels)
        head = self.model.head
        x = self.dense(head.dense, x, head.activation_name)
        x = self.dense(head.classifier, x, "identity")
        x = self.reshape(x, (1, head.num_classes))
        if self.form.numbers == "int8":
            x = net.op("dequantize", [x], (1, head.num_classes))
        if self.form.softmax:
            x = net.op("softmax", [x], (1, head.num_classes), {0: ("f", 1.0)})
        net.outputs.append(x)
        return net


def movinet_net(model, form: Form | None = None, size: int = 32) -> Net:
    """The step of a recognizer on one frame."""
    return _Writer(model, form or Form(), size).write()


def tflite_bytes(model, form: Form | None = None, size: int = 32) -> bytes:
    """The file."""
    return movinet_net(model, form, size).encoded()[0]
