"""How far a sum in float32 may be from the exact one: a bound from the sizes of its terms.

What n numbers add up to in any order is off by at most ``n eps`` times the sum of their sizes
(Higham, Accuracy and Stability of Numerical Algorithms, section 4.2; eps is half a step of float32
at 1). Where terms cancel that is much of the result, or all of it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from paddlevideo.runtime.engines.compiled.integer_reference import Maps, Ranges
from paddlevideo.runtime.engines.compiled.operations import IDENTITY, Activation, Operation
from paddlevideo.runtime.engines.compiled.reference import reference

_EPSILON = 2.0**-24
_MORE_TERMS = 4  # bias, shortcut, and roundings of what is behind the sum
_STEEPEST_SWISH = 1.1
# Kinds that add up, as what they add up sizes: bytes become their values.
_SUMS = {
    "dense": "dense", "convolution": "convolution", "depthwise": "depthwise",
    "temporal": "temporal", "weighted_sum": "weighted_sum", "mixed_sum": "weighted_sum",
    "mix": "mix", "mean": "mean", "integer_mean": "mean",
}  # fmt: skip


def rounding_bound(
    operation: Operation, maps: Maps, constants: Maps, ranges: Ranges
) -> np.ndarray | None:
    """The bound for each number of an operation's map of floats; None where it has none.

    Args: as of `reference`.
    """
    slope = _slope(operation.activation)
    if operation.kind not in _SUMS or operation.expand is not None or slope is None:
        return None
    sizes = {name: _sizes(x, name, ranges) for name, x in maps.items()}
    of_sizes = replace(
        operation,
        kind=_SUMS[operation.kind],
        weights=None if operation.weights is None else np.abs(operation.weights),
        bias=None if operation.bias is None else np.abs(operation.bias),
        activation=IDENTITY,
        options=_options(operation),
        rounded=None,
    )
    total = reference(of_sizes, sizes, _absolute(constants), {})[operation.output]
    return (_terms(operation) + _MORE_TERMS) * _EPSILON * slope * total


def _sizes(x: np.ndarray, name: str, ranges: Ranges) -> np.ndarray:
    """Of bytes that of the steps and that of zero, which are added up apart."""
    if name not in ranges:
        return np.abs(x.astype(np.float64))
    range_ = ranges[name]
    return (x.astype(np.float64) + range_.zero_point) * range_.scale


def _absolute(constants: Maps) -> Mapping[str, np.ndarray]:
    return {name: np.abs(value) for name, value in constants.items()}


def _options(operation: Operation) -> dict[str, object]:
    options = dict(operation.options)
    if operation.kind == "convolution":
        options["offset"] = np.abs(operation.options["offset"])
    return options


def _terms(operation: Operation) -> int:
    if operation.kind in ("mean", "integer_mean"):
        return int(operation.options["pixels"])
    weights = operation.own_weights
    if operation.kind in ("mix", "convolution"):  # an output channel or frame is the first axis
        return int(weights.size // len(weights))
    return len(weights)


def _slope(activation: Activation) -> float | None:
    """How much an activation makes of a small change, at most; None of a product with itself."""
    if activation.silu:
        return _STEEPEST_SWISH
    return None if activation.multiply else max(abs(activation.alpha), 1.0)
