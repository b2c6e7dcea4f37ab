"""Angles of the positional encoding, for streams of any length (docs/movinet.md).

The angle of frame n is n * rate. In float32 that product is off by 0.03 at a million frames, and
soon by more than a turn. So n is written in digits of base 256, from -128 to 128, and each digit
has a rate of its own: that of its power of the base, less whole turns, which is exact to the last
bit when it is made. The sum of three small products is off by 1e-4 at most, for up to 2^24 frames
(38 days at 5 frames/s); from there on float32 does not hold every frame's number.
"""

from collections.abc import Sequence

import numpy as np
import paddle
from paddle import Tensor

_BASE = 256.0
_NUM_DIGITS = 3
_LONGEST_WAVE = 10000.0


def rates(channels: int) -> np.ndarray:
    """Radians a frame of each pair of channels, [``channels`` / 2], float64."""
    return _LONGEST_WAVE ** (-np.arange(0, channels, 2) / channels)


def rates_of_digits(channels: int) -> np.ndarray:
    """Radians for one step of each digit, the lowest first: [3, ``channels`` / 2]."""
    by_digit = _BASE ** np.arange(_NUM_DIGITS)[:, None] * rates(channels)
    turn = 2 * np.pi
    result: np.ndarray = (by_digit - turn * np.round(by_digit / turn)).astype(np.float32)
    return result


def digits_of(position: Tensor) -> list[Tensor]:
    """The digits of whole numbers in float32, the lowest first, each from -128 to 128.

    The highest is what is left. No subtraction: the engine of exported steps knows sums, products
    and the largest whole number below.
    """
    digits = []
    for _ in range(_NUM_DIGITS - 1):
        higher = paddle.floor(position * (1.0 / _BASE) + 0.5)
        digits.append(position + higher * -_BASE)
        position = higher
    return [*digits, position]


def angles(digits: Sequence[Tensor], digit_rates: Sequence[Tensor]) -> Tensor:
    """The angles, less whole turns that do not matter: digits times rates, summed up."""
    lowest, *higher = (digit * rate for digit, rate in zip(digits, digit_rates, strict=True))
    for angle in higher:
        lowest = lowest + angle
    return lowest
