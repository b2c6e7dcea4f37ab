"""Every operation once more in plain NumPy, to hold the compiled ones against (`checked`).

Maps are [streams, C, H, W]. Products are in float64; sums and products of two maps are in float32
as the compiled ones are, since a compensated sum depends on how they round.
"""

from collections.abc import Callable

import numpy as np

from paddlevideo.runtime.engines.compiled.bfloat16 import rounded
from paddlevideo.runtime.engines.compiled.integer_reference import (
    INTEGER_KINDS,
    Maps,
    Ranges,
    activate,
    integer_reference,
)
from paddlevideo.runtime.engines.compiled.operations import Operation


def reference(
    operation: Operation, maps: Maps, constants: Maps, ranges: Ranges
) -> dict[str, np.ndarray]:
    """What ``operation`` makes of ``maps``, [streams, C, H, W], by name.

    Args:
        maps: by name; pictures, and maps on 8 bits, as they are.
        constants: of the program, by name.
        ranges: of the maps on 8 bits.
    """
    inputs = [maps[name] if name in maps else _as_map(constants[name]) for name in operation.inputs]
    if operation.kind in INTEGER_KINDS:
        return integer_reference(operation, inputs, maps, ranges)
    return {operation.output: _KINDS[operation.kind](operation, inputs, maps)}


def _as_map(constant: np.ndarray) -> np.ndarray:
    """A constant as a map of one stream."""
    return constant.reshape((1,) * (4 - constant.ndim) + constant.shape)


def _finished(operation: Operation, total: np.ndarray, maps: Maps) -> np.ndarray:
    """Bias, shortcut and activation behind a product."""
    if operation.bias is not None:
        total = total + operation.bias.astype(np.float64)[:, None, None]
    if operation.shortcut is not None:
        total = total + maps[operation.shortcut]
    return activate(total, operation.activation)


def _product(x_BCHW: np.ndarray, operation: Operation) -> np.ndarray:
    """A matrix [depth, channels] on each pixel."""
    weights = operation.own_weights
    if operation.products == "bfloat16":
        x_BCHW, weights = rounded(x_BCHW), rounded(weights)
    return np.einsum("bchw,cd->bdhw", x_BCHW.astype(np.float64), weights.astype(np.float64))


def _dense(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    x = inputs[0]
    if operation.gate is not None:
        # In bfloat16 the product with the gate is a float32, which is rounded.
        is_float64 = operation.products == "float32"
        x = (x.astype(np.float64) if is_float64 else x) * maps[operation.gate]
    return _finished(operation, _product(x, operation), maps)


def _windows(x_BCHW: np.ndarray, operation: Operation, fill: float = 0.0) -> np.ndarray:
    """What a window sees at each place: [B, C, H_out, W_out, kernel, kernel]."""
    top, left, bottom, right = operation.options["pads"]
    kernel, stride = operation.options["kernel"], operation.options["stride"]
    padded: np.ndarray = np.pad(
        x_BCHW.astype(np.float64),
        ((0, 0), (0, 0), (top, bottom), (left, right)),
        constant_values=fill,
    )
    by_rows: np.ndarray = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=2)
    seen: np.ndarray = np.lib.stride_tricks.sliding_window_view(by_rows, kernel, axis=3)
    return seen[:, :, ::stride, ::stride]


def _convolution(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    offset = operation.options["offset"].astype(np.float64)[:, None, None]
    seen = _windows(inputs[0].astype(np.float64) + offset, operation)
    weights: np.ndarray = operation.own_weights.astype(np.float64)
    return _finished(operation, np.einsum("bchwyx,dcyx->bdhw", seen, weights), maps)


def _depthwise(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    x, expand = inputs[0], operation.expand
    if expand is not None:
        x = _finished(expand, _product(x, expand), maps)
    kernel = operation.options["kernel"]
    weights: np.ndarray = operation.own_weights.astype(np.float64).reshape(kernel, kernel, -1)
    seen = _windows(x, operation)
    return _finished(operation, np.einsum("bchwyx,yxc->bchw", seen, weights), maps)


def _weighted_sum(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    weights: np.ndarray = operation.own_weights.astype(np.float64)[:, :, None, None]
    terms = [x * weight for x, weight in zip(inputs, weights, strict=True)]
    return _finished(operation, np.sum(terms, axis=0), maps)


def _mean(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    return inputs[0].mean(axis=(2, 3), keepdims=True, dtype=np.float64)


def _scale(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    return inputs[0].astype(np.float64) * inputs[1]


def _average(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    """What is outside the map does not count."""
    return np.nanmean(_windows(inputs[0], operation, np.nan), axis=(4, 5))


def _combine(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    one: np.ndarray = inputs[0].astype(np.float32)
    other: np.ndarray = inputs[1].astype(np.float32)
    return one * other if operation.options["is_product"] else one + other


def _function(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    x: np.ndarray = inputs[0].astype(np.float64)
    kind = operation.options["function"]
    if kind == "clip":
        return activate(x, operation.activation)
    return _FUNCTIONS[kind](x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": _sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "sine": np.sin,
    "cosine": np.cos,
    "floor": np.floor,
    "reciprocal": lambda x: 1.0 / x,
}


def _concat(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    return np.concatenate(inputs, axis=1)


def _same(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    return inputs[0]


def _count(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    return inputs[0] + np.int32(operation.options["step"])


def _number(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    return inputs[0].astype(np.float32)


def _padded(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    """With zeros left and right, and a row of zeros below."""
    x, expand = inputs[0], operation.expand
    if expand is not None:
        x = _finished(expand, _product(x, expand), maps)
    _, left, _, right = operation.options["pads"]
    return np.pad(x, ((0, 0), (0, 0), (0, 1), (left, right)))


def _temporal(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    """Windows of each frame and of those around it; before and after the clip are zeros."""
    options = operation.options
    x: np.ndarray = inputs[0].astype(np.float64)
    kernel, moves = options["kernel"], options["moves"]
    if (kernel, options["stride"]) != (1, 1):  # the zeros of `padded` are put round it again
        _, left, _, right = options["pads"]
        x = x[:, :, :-1, left : x.shape[3] - right]
    weights: np.ndarray = operation.own_weights.astype(np.float64)
    total: np.ndarray = np.zeros((len(x), *operation.shape))
    for move, taps in zip(moves, weights.reshape(len(moves), kernel, kernel, -1), strict=True):
        seen = np.einsum("bchwyx,yxc->bchw", _windows(x, operation), taps)
        first, last = max(-move, 0), len(x) - max(move, 0)
        total[first:last] += seen[first + move : last + move]
    return _finished(operation, total, maps)


def _mix(operation: Operation, inputs: list[np.ndarray], maps: Maps) -> np.ndarray:
    weights: np.ndarray = operation.own_weights.astype(np.float64)
    return np.einsum("of,fchw->ochw", weights, inputs[0].astype(np.float64))


_KINDS: dict[str, Callable[[Operation, list[np.ndarray], Maps], np.ndarray]] = {
    "dense": _dense,
    "convolution": _convolution,
    "depthwise": _depthwise,
    "weighted_sum": _weighted_sum,
    "mean": _mean,
    "scale": _scale,
    "average": _average,
    "combine": _combine,
    "function": _function,
    "concat": _concat,
    "copy": _same,
    "count": _count,
    "number": _number,
    "padded": _padded,
    "temporal": _temporal,
    "mix": _mix,
}
