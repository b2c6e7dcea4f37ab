"""How numbers of operations on 8 bits lie in memory: packed weights, factors, limits."""

import numpy as np

from paddlevideo.runtime.engines.compiled.integer_finish import FINISH_FLOATS
from paddlevideo.runtime.engines.compiled.integer_lowering import has_table, is_direct
from paddlevideo.runtime.engines.compiled.integer_simd import FORM, moved_by
from paddlevideo.runtime.engines.compiled.operations import Operation, Rounding, rounding_of
from paddlevideo.runtime.engines.compiled.products import panels_of
from paddlevideo.runtime.engines.compiled.simd import LANES
from paddlevideo.utils.eight_bits import Range


def packed_fours(weights: np.ndarray, widest: int = 3) -> tuple[np.ndarray, list[int]]:
    """Weights [depth, channels] in panels of fours of the depth: each [steps, channels, 4].

    Returns:
        Bytes; and for each panel the first channel, the number of vectors, and where it begins.
    """
    depth, channels = weights.shape
    steps = -(-depth // 4)
    wide = np.zeros((4 * steps, channels + LANES), np.int8)
    wide[:depth, :channels] = weights
    fours = wide.reshape(steps, 4, -1).transpose(0, 2, 1)
    parts: list[np.ndarray] = []
    panels: list[int] = []
    at = 0
    for first, vectors in panels_of(channels, widest):
        parts.append(fours[:, first : first + vectors * LANES].reshape(-1))
        panels += [first, vectors, at]
        at += parts[-1].size
    return np.concatenate(parts), panels


def window_fours(weights: np.ndarray, high: int, wide: int) -> tuple[np.ndarray, list[int]]:
    """Weights [C, planes, kernel, kernel] by four places of a row of the kernel.

    Returns:
        The matrix [depth, C] whose depth is fours, and the bytes from an output's first input in
        padded planes of ``high`` times ``wide`` to each four.
    """
    channels, planes, kernel, _ = weights.shape
    fours = -(-kernel // 4)
    padded = np.zeros((channels, planes, kernel, 4 * fours), np.int8)
    padded[..., :kernel] = weights
    offsets = [
        (plane * high + ky) * wide + 4 * four
        for plane in range(planes)
        for ky in range(kernel)
        for four in range(fours)
    ]
    return padded.reshape(channels, -1).T, offsets


def centred_bias(operation: Operation) -> np.ndarray:
    """The bias of sums over what `multiply_four` sees of what is stored, of which zero is not 0."""
    weights: np.ndarray = operation.own_weights.astype(np.int64)
    if operation.kind == "integer_convolution":
        weights = weights.reshape(len(weights), -1).T
    if operation.bias is None:
        raise ValueError(f"{operation.kind} without a bias")
    zero = operation.options["range"].zero_point - moved_by(FORM)
    bias: np.ndarray = operation.bias.astype(np.int64) - zero * weights.sum(axis=0)
    return bias.astype(np.int32)


def factors_of(operation: Operation) -> np.ndarray:
    """What sums are multiplied by: gives steps where they are rounded first, else values."""
    if operation.factor_C is None:
        raise ValueError(f"{operation.kind} without factors")
    if operation.inner is not None:
        return operation.factor_C / np.float32(operation.inner.scale)
    if is_direct(operation) and operation.rounding is not None:
        return operation.factor_C / np.float32(operation.rounding.scale)
    return operation.factor_C


def limits_of(operation: Operation) -> np.ndarray | None:
    """Low, high and zero of sums that are rounded to bytes at once; None of others."""
    if has_table(operation) and operation.inner is not None:
        inner = operation.inner
        return np.array([inner.low, inner.high, inner.zero], np.float32)
    if not is_direct(operation) or operation.rounding is None:
        return None
    given = operation.rounding
    bounds = rounding_of(Range(given.scale, given.zero), operation.activation)
    if bounds is None:
        raise ValueError("an activation that does not only bound")
    return np.array([bounds.low, bounds.high, bounds.zero], np.float32)


def finish_numbers(operation: Operation, shortcut: Range | None) -> np.ndarray:
    """What `integer_finish.finish` reads."""
    numbers: np.ndarray = np.zeros(FINISH_FLOATS, np.float32)
    if operation.inner is not None:
        numbers[:3] = operation.inner.scale, operation.inner.low, operation.inner.high
    if shortcut is not None:
        numbers[3:5] = shortcut.scale, shortcut.zero_point
    if operation.rounding is not None:
        given = operation.rounding
        numbers[5:] = given.scale, given.low, given.high, given.zero
    return numbers


def values_of_sums(operation: Operation) -> tuple[np.ndarray, np.ndarray]:
    """Weights of values and bias of a product on 8 bits, in floats."""
    given = operation.integers
    if given is None or operation.factor_C is None or operation.bias is None:
        raise ValueError(f"{operation.kind} without integers")
    weights = given.weights.astype(np.float64) * given.scale_C
    return weights, operation.bias.astype(np.float64) * operation.factor_C


def rounding_numbers(rounding: Rounding | None) -> list[float]:
    """Scale, low, high and zero."""
    if rounding is None:
        return [1.0, 0.0, 0.0, 0.0]
    return [rounding.scale, rounding.low, rounding.high, rounding.zero]


def sum_weights(
    weights: np.ndarray, bias: np.ndarray | None, ranges: list[Range | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [maps, channels] and bias of a sum that reads bytes as they are stored."""
    scales = np.array([1.0 if each is None else each.scale for each in ranges])
    zeros = np.array([0.0 if each is None else each.zero_point for each in ranges])
    scaled = weights.astype(np.float64) * scales[:, None]
    moved = -(scaled * zeros[:, None]).sum(axis=0)
    if bias is not None:
        moved = moved + bias
    return scaled.astype(np.float32), moved.astype(np.float32)
