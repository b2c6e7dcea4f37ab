"""Layers with weights in a TensorFlow Lite network: products, what is folded in, activations."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paddlevideo.convert.tflite.graph import Graph
from paddlevideo.convert.tflite.operations import Operation

DENSE, DEPTHWISE = ("conv", "fully_connected"), ("depthwise_conv",)
_THREE, _SIX = 3.0, 6.0  # of a hard swish
_ROUNDING = 0.02
_AFFINE = ("add", "sub", "mul", "div")
_ACTIVATIONS = {
    "relu": "relu",
    "relu6": "relu6",
    "hard_swish": "hard_swish",
    "tanh": "tanh",
    "logistic": "sigmoid",
}


@dataclass(frozen=True)
class Layer:
    """A convolution or dense layer with the constants that its result is multiplied by and added.

    Attributes:
        number: of its result, before the activation if that is an operation of its own.
        product: of the convolution alone.
        tail: the numbers of the results of further operations, the first after the convolution.
        activation: its name here; ``identity`` for none.
    """

    graph: Graph
    number: int
    product: int
    tail: tuple[int, ...]
    activation: str

    @property
    def operation(self) -> Operation:
        """The convolution."""
        operation = self.graph.maker(self.product)
        assert operation is not None
        return operation

    @property
    def input(self) -> int:
        """The value that it reads."""
        return self.graph.value(self.operation.inputs[0])

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel has a kernel of its own."""
        return self.operation.kind in DEPTHWISE

    @property
    def channels(self) -> tuple[int, int]:
        """Of its input and of its result."""
        shape = self.graph.shape(self.operation.inputs[1])
        if self.is_depthwise:
            return shape[-1], shape[-1]
        return shape[-1], shape[0]

    @property
    def kernel_size(self) -> tuple[int, int]:
        """Height and width."""
        shape = self.graph.shape(self.operation.inputs[1])
        return (shape[1], shape[2]) if len(shape) == 4 else (1, 1)

    @property
    def stride(self) -> tuple[int, int]:
        """Along height and width."""
        options = self.operation.options
        return options.get("stride_h", 1), options.get("stride_w", 1)

    def use(self) -> None:
        """Count its operations as recognised."""
        for number in (self.product, *self.tail):
            self.graph.use(number)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        """Kernel [C_out, C_in or 1, height, width] and bias [C_out], all factors folded in."""
        kernel, bias, _ = self._folded(keep_last_factor=False)
        return kernel, bias

    def weights_and_factor(self) -> tuple[np.ndarray, np.ndarray, float]:
        """As `weights`, and the one number that the whole result is multiplied by at last."""
        return self._folded(keep_last_factor=True)

    def _folded(self, keep_last_factor: bool) -> tuple[np.ndarray, np.ndarray, float]:
        kernel, bias = self._own_weights()
        kernel, bias = kernel.astype(np.float64), bias.astype(np.float64)
        for index, number in enumerate(self.tail):
            operation = self.graph.maker(number)
            assert operation is not None
            constant = self._per_channel(operation, len(bias))
            if operation.kind in ("add", "sub"):
                bias = bias + (constant if operation.kind == "add" else -constant)
                continue
            factor = constant if operation.kind == "mul" else 1.0 / constant
            is_last = index == len(self.tail) - 1
            if keep_last_factor and is_last and np.all(factor == factor[0]):
                return kernel.astype(np.float32), bias.astype(np.float32), float(factor[0])
            kernel, bias = kernel * factor[:, None, None, None], bias * factor
        return kernel.astype(np.float32), bias.astype(np.float32), 1.0

    def _own_weights(self) -> tuple[np.ndarray, np.ndarray]:
        inputs = self.operation.inputs
        kernel = self.graph.constant(inputs[1])
        if self.is_depthwise:
            kernel = kernel[0].transpose(2, 0, 1)[:, None]
        elif kernel.ndim == 4:
            kernel = kernel.transpose(0, 3, 1, 2)
        else:
            kernel = kernel[:, :, None, None]
        if len(inputs) < 3 or inputs[2] < 0:
            return kernel, np.zeros(len(kernel), np.float32)
        bias = self.graph.constant(inputs[2]).reshape(-1)
        if len(bias) != len(kernel):
            raise ValueError(f"{self.graph.name(inputs[2])} is no bias of {len(kernel)} channels")
        return kernel, bias

    def _per_channel(self, operation: Operation, channels: int) -> np.ndarray:
        """The constant of a product or sum as [C]; it may be stored as one number, or whole."""
        (number,) = (n for n in operation.inputs if self.graph.is_constant(n))
        constant: np.ndarray = self.graph.constant(number).astype(np.float64)
        if constant.size == 1:
            return np.full(channels, constant.item())
        if constant.shape[-1] != channels and np.ptp(constant) == 0:
            return np.full(channels, constant.flat[0])
        rows = constant.reshape(-1, constant.shape[-1])
        if constant.shape[-1] != channels or (rows != rows[0]).any():
            raise ValueError(f"{self.graph.name(number)} is not one number a channel")
        return rows[0]


def layer_at(graph: Graph, number: int) -> Layer | None:
    """The layer whose result, or activated result, is ``number``; None if there is none."""
    found = _layer(graph, number)
    if found is not None:
        return found
    operation = graph.maker(number)
    if operation is None or not operation.inputs:
        return None
    if operation.kind in _ACTIVATIONS:
        inner = _layer(graph, operation.inputs[0])
        return _renamed(inner, _ACTIVATIONS[operation.kind])
    if operation.kind == "mul" and operation.fused == "identity":
        for x, gate in _both_orders(operation):
            maker = graph.maker(gate)
            if maker is None or graph.value(maker.inputs[0]) != graph.value(x):
                continue
            if maker.kind == "logistic":
                return _renamed(_layer(graph, x), "swish")
        hard_swish = _hard_swish(graph, number)
        return None if hard_swish is None else hard_swish[0]
    return None


def use_layer(graph: Graph, number: int) -> Layer | None:
    """As `layer_at`; its operations, with the activation, count as recognised."""
    layer = layer_at(graph, number)
    if layer is None:
        return None
    layer.use()
    operation = graph.use(number)
    if layer.activation == "swish":
        for inner in operation.inputs:
            graph.use(inner)
    if layer.activation == "hard_swish" and operation.kind == "mul":
        found = _hard_swish(graph, number)
        assert found is not None
        for inner in found[1]:
            graph.use(inner)
    return layer


def constant_operand(graph: Graph, operation: Operation) -> tuple[int, int] | None:
    """The value and the constant of a product or sum of these two; None for others."""
    if operation.kind not in _AFFINE or len(operation.inputs) != 2:
        return None
    first, second = operation.inputs
    if graph.is_constant(second) and not graph.is_constant(first):
        return first, second
    may_swap = operation.kind in ("add", "mul")
    if may_swap and graph.is_constant(first) and not graph.is_constant(second):
        return second, first
    return None


def operands(graph: Graph, number: int, kind: str) -> tuple[int, int] | None:
    """The two values that an operation of this kind joins; None where it is another, or fused."""
    operation = graph.maker(number)
    if operation is None or operation.kind != kind or len(operation.inputs) != 2:
        return None
    if operation.fused != "identity" or any(graph.is_constant(n) for n in operation.inputs):
        return None
    return operation.inputs[0], operation.inputs[1]


def _layer(graph: Graph, number: int) -> Layer | None:
    tail: list[int] = []
    at = number
    while (operation := graph.maker(at)) is not None:
        if at != number and operation.fused != "identity":
            return None
        if _is_product(graph, operation):
            last = graph.maker(number)
            assert last is not None
            return Layer(graph, number, at, tuple(reversed(tail)), last.fused)
        pair = constant_operand(graph, operation)
        if pair is None:
            return None
        tail.append(at)
        at = graph.value(pair[0])
    return None


def _hard_swish(graph: Graph, number: int) -> tuple[Layer, list[int]] | None:
    """``x * relu6(x + 3) * 1/6`` in its single operations: the layer of x, and their results.

    The sixth is that of the whole, or of either factor.
    """
    sixths, whole = _without_sixth(graph, number)
    pair = operands(graph, whole, "mul")
    for x, gate in (pair, pair[::-1]) if pair is not None else ():
        more, relu6 = _without_sixth(graph, gate)
        for others, inner in (([], x), _without_sixth(graph, x)):
            steps = [*sixths, *more, *others]
            layer = _plus_three(graph, inner, relu6) if len(steps) == 1 else None
            if layer is not None:
                maker = graph.maker(relu6)
                inside = maker.inputs[:1] if maker is not None and maker.kind == "relu6" else []
                return layer, [*steps, whole, relu6, *inside]
    return None


def _plus_three(graph: Graph, x: int, gate: int) -> Layer | None:
    """The layer of ``x``, if ``gate`` is ``relu6(x + 3)``."""
    layer = _layer(graph, x)
    maker = graph.maker(gate)
    if maker is None or layer is None or layer.activation != "identity":
        return None
    if maker.kind == "relu6":
        maker, fused = graph.maker(maker.inputs[0]), "identity"
    else:
        fused = "relu6"
    if maker is None or maker.kind != "add" or maker.fused != fused:
        return None
    pair = constant_operand(graph, maker)
    if pair is None or graph.value(pair[0]) != graph.value(x):
        return None
    is_three = _is_near(graph.constant(pair[1]), _THREE)
    return _renamed(layer, "hard_swish") if is_three else None


def _without_sixth(graph: Graph, number: int) -> tuple[list[int], int]:
    """A product with 1/6 (or a division by 6) as a step, and what it is of; else no step."""
    maker = graph.maker(number)
    pair = None if maker is None else constant_operand(graph, maker)
    if maker is None or pair is None or maker.kind not in ("mul", "div"):
        return [], number
    expected = 1.0 / _SIX if maker.kind == "mul" else _SIX
    if maker.fused != "identity" or not _is_near(graph.constant(pair[1]), expected):
        return [], number
    return [number], pair[0]


def _is_near(constant: np.ndarray, expected: float) -> bool:
    """Whether a constant is one number, as int8 may have rounded it."""
    return constant.size > 0 and bool(np.all(np.abs(constant - expected) <= _ROUNDING * expected))


def _is_product(graph: Graph, operation: Operation) -> bool:
    """Whether it is a convolution, in the plain form that networks here have."""
    if operation.kind not in (*DENSE, *DEPTHWISE) or len(operation.inputs) < 2:
        return False
    rank = 2 if operation.kind == "fully_connected" else 4
    weights = operation.inputs[1]
    if not graph.is_constant(weights) or len(graph.shape(weights)) != rank:
        return False
    options = operation.options
    dilated = (options.get("dilation_w", 1), options.get("dilation_h", 1)) != (1, 1)
    whole = operation.kind not in DEPTHWISE or graph.shape(weights)[0] == 1
    return whole and not dilated


def _renamed(layer: Layer | None, activation: str) -> Layer | None:
    if layer is None or layer.activation != "identity":
        return None
    return Layer(layer.graph, layer.number, layer.product, layer.tail, activation)


def _both_orders(operation: Operation) -> Iterator[tuple[int, int]]:
    if len(operation.inputs) == 2:
        first, second = operation.inputs
        yield first, second
        yield second, first
