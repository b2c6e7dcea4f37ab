"""Numbers on 8 bits: what training rounds to and what an int8 bundle computes with is one thing.

Activations are uint8 with a scale and a zero point, kernels int8 with a scale for each output
channel; halves are rounded to even, as ``QuantizeLinear`` of ONNX does.
"""

from dataclasses import dataclass

import numpy as np

LEVELS = 255  # steps of an 8-bit number
INT8_LARGEST = 127  # symmetric: -128 is not used


@dataclass(frozen=True)
class Range:
    """What 8 bits are to cover; zero is always in it, exactly.

    Attributes:
        scale: of one step.
        zero_point: the step that stands for zero.
    """

    scale: float
    zero_point: int


def range_of(low: float, high: float) -> Range:
    """The range from ``low`` to ``high``, widened to zero; of nothing but zeros any scale does."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / LEVELS
    if not scale > np.finfo(np.float32).tiny:
        return Range(1.0, 0)
    return Range(float(np.float32(scale)), int(np.clip(round(-low / scale), 0, LEVELS)))


def steps_of(values: np.ndarray, range_: Range) -> np.ndarray:
    """The nearest steps, uint8; of what is no number the one of zero."""
    steps = np.rint(values / np.float32(range_.scale)) + np.float32(range_.zero_point)
    steps = np.nan_to_num(steps, nan=range_.zero_point)
    whole: np.ndarray = np.clip(steps, 0, LEVELS).astype(np.uint8)
    return whole


def values_of(steps: np.ndarray, range_: Range) -> np.ndarray:
    """What steps stand for, float32."""
    moved: np.ndarray = steps.astype(np.float32) - np.float32(range_.zero_point)
    return moved * np.float32(range_.scale)


def symmetric_int8(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest int8 of a kernel [C_out, ...], and the scale of each output channel [C_out, 1, ...].

    A channel of zeros has the scale 1.
    """
    shape = (-1, *(1,) * (weight.ndim - 1))
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1).reshape(shape)
    scale = np.where(largest > 0, largest / INT8_LARGEST, 1.0).astype(np.float32)
    whole = np.clip(np.rint(weight / scale), -INT8_LARGEST, INT8_LARGEST).astype(np.int8)
    return whole, scale
