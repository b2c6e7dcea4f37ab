"""Initial values (docs/movinet.md)."""

import math

from paddle import ParamAttr
from paddle.nn import initializer

# A normal cut at two sigma has this much of the standard deviation left.
_TRUNCATED_STD = 0.87962566103423978


def he_normal(fan_in: int) -> ParamAttr:
    """Normal with variance ``2 / fan_in``, cut at two sigma, the cut corrected for.

    ``fan_in`` of a depthwise convolution is the kernel's volume alone.
    """
    std = math.sqrt(2.0 / fan_in) / _TRUNCATED_STD
    return ParamAttr(initializer=initializer.TruncatedNormal(0.0, std, -2.0 * std, 2.0 * std))


def normal(std: float) -> ParamAttr:
    """Normal around zero."""
    return ParamAttr(initializer=initializer.Normal(0.0, std))


def constant(value: float) -> ParamAttr:
    """The same value everywhere."""
    return ParamAttr(initializer=initializer.Constant(value))
