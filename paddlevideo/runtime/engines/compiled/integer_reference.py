"""The operations on 8 bits in plain NumPy: sums of integers are exact, roundings as ONNX says."""

from collections.abc import Callable, Mapping

import numpy as np

from paddlevideo.runtime.engines.compiled.clip_lowering import has_single_pixel
from paddlevideo.runtime.engines.compiled.integer_layout import (
    factors_of,
    limits_of,
    values_of_sums,
)
from paddlevideo.runtime.engines.compiled.integer_lowering import is_direct
from paddlevideo.runtime.engines.compiled.operations import Activation, Operation, Rounding
from paddlevideo.utils.eight_bits import LEVELS, Range, values_of

Maps = Mapping[str, np.ndarray]
Ranges = Mapping[str, Range]


def integer_reference(
    operation: Operation, inputs: list[np.ndarray], maps: Maps, ranges: Ranges
) -> dict[str, np.ndarray]:
    """What an operation that reads or writes maps on 8 bits makes, by name: floats, bytes, or both.

    Args:
        inputs: of the operation, [streams, C, H, W], as they are stored.
        maps: all that it reads.
        ranges: of the maps on 8 bits.
    """
    if operation.kind == "quantize":
        return {operation.output: _bytes(inputs[0].astype(np.float32), operation.rounding)}
    if operation.kind == "integer_padded":
        return {operation.output: _padded(operation, inputs[0], maps, ranges)}
    over_time = operation.kind == "integer_temporal" and not has_single_pixel(operation)
    names = ("dense", "convolution", "depthwise")
    if over_time or operation.kind.removeprefix("integer_") in names:
        return _finished(operation, _sums(operation, inputs[0], maps, ranges), maps, ranges)
    values = [
        _values(x, ranges.get(name)) for x, name in zip(inputs, operation.inputs, strict=True)
    ]
    return _results(operation, _OTHERS[operation.kind](operation, values))


def byte_table(operation: Operation) -> np.ndarray:
    """What a product between two roundings gives for each byte of the first: uint8 [256].

    Raises:
        ValueError: the operation has only one rounding.
    """
    if operation.inner is None:
        raise ValueError(f"{operation.kind} with one rounding")
    inner = operation.inner
    steps: np.ndarray = np.arange(LEVELS + 1, dtype=np.float32) - np.float32(inner.zero)
    return _bytes(
        activate(steps * np.float32(inner.scale), operation.activation), operation.rounding
    )


def activate(x: np.ndarray, activation: Activation) -> np.ndarray:
    """``clip(alpha x + beta, low, high)``, times x where ``multiply``; or swish."""
    if activation.silu:
        with np.errstate(over="ignore"):  # of a very negative number: nothing
            return np.asarray(x / (1.0 + np.exp(-x)))
    bounded = np.clip(activation.alpha * x + activation.beta, activation.low, activation.high)
    return bounded * x if activation.multiply else bounded


def _values(x: np.ndarray, range_: Range | None) -> np.ndarray:
    return x if range_ is None else values_of(x, range_)


def _bytes(values: np.ndarray, rounding: Rounding | None) -> np.ndarray:
    if rounding is None:
        raise ValueError("bytes without a rounding")
    steps = np.rint(values / values.dtype.type(rounding.scale))
    steps = np.clip(np.nan_to_num(steps), rounding.low, rounding.high)
    whole: np.ndarray = (steps + rounding.zero).astype(np.uint8)
    return whole


def _padded(operation: Operation, x: np.ndarray, maps: Maps, ranges: Ranges) -> np.ndarray:
    """With what stands for zero left and right, and a row of it below."""
    if operation.expand is not None and operation.expand.rounded is not None:
        expand = operation.expand
        x = integer_reference(expand, [x], maps, ranges)[expand.rounded or ""]
    _, left, _, right = operation.options["pads"]
    around = ((0, 0), (0, 0), (0, 1), (left, right))
    return np.pad(x, around, constant_values=ranges[operation.output].zero_point)


def _results(operation: Operation, values: np.ndarray) -> dict[str, np.ndarray]:
    made = {operation.output: values} if operation.writes else {}
    if operation.rounded is not None:
        made[operation.rounded] = _bytes(values, operation.rounding)
    return made


def _sums(operation: Operation, x: np.ndarray, maps: Maps, ranges: Ranges) -> np.ndarray:
    """The exact sums of a product, bias included."""
    if operation.expand is not None and operation.expand.rounded is not None:
        expand = operation.expand
        x = integer_reference(expand, [x], maps, ranges)[expand.rounded or ""]
    steps: np.ndarray = x.astype(np.int64) - operation.options["range"].zero_point
    weights: np.ndarray = operation.own_weights.astype(np.int64)
    if operation.kind == "integer_dense":
        total = np.einsum("bchw,cd->bdhw", steps, weights)
    else:
        top, left, bottom, right = operation.options["pads"]
        kernel, stride = operation.options["kernel"], operation.options["stride"]
        if operation.kind == "integer_temporal":  # the zeros of `integer_padded`, put again
            steps = steps[:, :, :-1, left : steps.shape[3] - right]
        padded: np.ndarray = np.pad(steps, ((0, 0), (0, 0), (top, bottom), (left, right)))
        seen = _windows(padded, kernel, stride)
        if operation.kind == "integer_depthwise":
            by_place = weights.reshape(kernel, kernel, -1)
            total = np.einsum("bchwyx,yxc->bchw", seen, by_place)
        elif operation.kind == "integer_temporal":
            total = _over_time(operation, seen, weights)
        else:
            total = np.einsum("bchwyx,dcyx->bdhw", seen, weights)
    bias = np.zeros(1, np.int64) if operation.bias is None else operation.bias
    return np.asarray(total + bias.astype(np.int64)[:, None, None])


def _over_time(operation: Operation, seen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums over the windows of each frame and of those around; outside of the clip are zeros."""
    moves, kernel = operation.options["moves"], operation.options["kernel"]
    total: np.ndarray = np.zeros(seen.shape[:4], weights.dtype)
    for move, taps in zip(moves, weights.reshape(len(moves), kernel, kernel, -1), strict=True):
        first, last = max(-move, 0), len(seen) - max(move, 0)
        part = np.einsum("bchwyx,yxc->bchw", seen[first + move : last + move], taps)
        total[first:last] += part
    return total


def _windows(padded: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """What a window sees at each place: [B, C, H_out, W_out, kernel, kernel]."""
    by_rows: np.ndarray = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=2)
    seen: np.ndarray = np.lib.stride_tricks.sliding_window_view(by_rows, kernel, axis=3)
    return seen[:, :, ::stride, ::stride]


def _finished(
    operation: Operation, sums: np.ndarray, maps: Maps, ranges: Ranges
) -> dict[str, np.ndarray]:
    values = sums.astype(np.float32) * factors_of(operation)[:, None, None]
    limits = limits_of(operation)
    if limits is not None and is_direct(operation) and operation.rounded is not None:
        low, high, zero = limits
        steps = np.rint(np.clip(values, low, high))
        return {operation.rounded: (steps + zero).astype(np.uint8)}
    inner = operation.inner
    if inner is not None:
        values = np.rint(np.clip(values, inner.low, inner.high)) * np.float32(inner.scale)
    if operation.shortcut is not None:
        values = values + _values(maps[operation.shortcut], ranges.get(operation.shortcut))
    return _results(operation, activate(values, operation.activation))


def _mixed_sum(operation: Operation, values: list[np.ndarray]) -> np.ndarray:
    weights: np.ndarray = operation.own_weights.astype(np.float64)[:, :, None, None]
    total = np.sum([x * weight for x, weight in zip(values, weights, strict=True)], axis=0)
    if operation.bias is not None:
        total = total + operation.bias[:, None, None]
    return activate(total, operation.activation)


def _temporal(operation: Operation, values: list[np.ndarray]) -> np.ndarray:
    """Of one pixel of each frame."""
    weights, bias_C = values_of_sums(operation)
    seen: np.ndarray = values[0].astype(np.float64)[..., None, None]
    total = _over_time(operation, seen, weights) + bias_C[:, None, None]
    inner = operation.inner
    if inner is not None:
        total = np.clip(np.rint(total / inner.scale), inner.low, inner.high) * inner.scale
    return activate(total, operation.activation)


def _mean(operation: Operation, values: list[np.ndarray]) -> np.ndarray:
    return np.asarray(values[0].mean(axis=(2, 3), keepdims=True, dtype=np.float64))


def _average(operation: Operation, values: list[np.ndarray]) -> np.ndarray:
    """What is outside the map does not count."""
    top, left, bottom, right = operation.options["pads"]
    kernel, stride = operation.options["kernel"], operation.options["stride"]
    padded: np.ndarray = np.pad(
        values[0].astype(np.float64),
        ((0, 0), (0, 0), (top, bottom), (left, right)),
        constant_values=np.nan,
    )
    return np.asarray(np.nanmean(_windows(padded, kernel, stride), axis=(4, 5)))


_OTHERS: dict[str, Callable[[Operation, list[np.ndarray]], np.ndarray]] = {
    "mixed_sum": _mixed_sum,
    "integer_mean": _mean,
    "integer_average": _average,
    "integer_scale": lambda operation, values: values[0].astype(np.float64) * values[1],
    "scale_bytes": lambda operation, values: values[0].astype(np.float64) * values[1],
    "integer_temporal": _temporal,
    "dequantize": lambda operation, values: values[0],
}
INTEGER_KINDS = frozenset(
    {
        "quantize",
        "integer_dense",
        "integer_convolution",
        "integer_depthwise",
        "integer_padded",
        *_OTHERS,
    }
)
