"""Operations on each pixel or number alone, and the mean of a map."""

import math

import numpy as np

from paddlevideo.runtime.engines.compiled.access import (
    Array,
    activation_at,
    compiled,
    first_channel_of,
    floats_at,
    vectors_of,
)
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    vactivate,
    vadd,
    vfma,
    vload,
    vmul,
    vsplat,
    vstore,
)
from paddlevideo.runtime.engines.compiled.swish import sigmoid_floats

FUNCTIONS = ("clip", "sigmoid", "silu", "sine", "cosine", "floor", "reciprocal")
_CLIP, _SIGMOID, _SILU, _SINE, _COSINE, _FLOOR = range(6)


@compiled
def weighted_sum(
    maps: Array, count: int, pixels: int, channels: int, w: int, y: int, bias: int, activation: int
) -> None:
    """``activation(sum of map * weight + bias)`` over ``count`` maps at the addresses ``maps``.

    The weights are [count, channels]: a depthwise convolution over time.
    """
    size = channels * FLOAT_BYTES
    alpha, beta, low, high, multiply = activation_at(activation)
    for pixel in range(0, pixels - pixels % 4, 4):
        for vector in range(vectors_of(channels)):
            # Four pixels share the weights; their sums do not wait for each other.
            at = first_channel_of(vector, channels) * FLOAT_BYTES
            start = pixel * size + at
            one = two = three = four = vload(bias + at)
            for index in range(count):
                source, weight = maps[index] + start, vload(w + index * size + at)
                one = vfma(vload(source), weight, one)
                two = vfma(vload(source + size), weight, two)
                three = vfma(vload(source + 2 * size), weight, three)
                four = vfma(vload(source + 3 * size), weight, four)
            to = y + start
            vstore(to, vactivate(one, alpha, beta, low, high, multiply))
            vstore(to + size, vactivate(two, alpha, beta, low, high, multiply))
            vstore(to + 2 * size, vactivate(three, alpha, beta, low, high, multiply))
            vstore(to + 3 * size, vactivate(four, alpha, beta, low, high, multiply))
    for pixel in range(pixels - pixels % 4, pixels):
        for vector in range(vectors_of(channels)):
            at = first_channel_of(vector, channels) * FLOAT_BYTES
            start = pixel * size + at
            total = vload(bias + at)
            for index in range(count):
                total = vfma(vload(maps[index] + start), vload(w + index * size + at), total)
            vstore(y + start, vactivate(total, alpha, beta, low, high, multiply))


@compiled
def mean_of_pixels(x: int, pixels: int, channels: int, y: int, first: int, last: int) -> None:
    """The mean over a map, [channels]; of the vectors ``first`` to ``last``."""
    size = channels * FLOAT_BYTES
    share = vsplat(np.float32(1) / np.float32(pixels))
    for vector in range(first, last):
        at = first_channel_of(vector, channels) * FLOAT_BYTES
        even = vsplat(np.float32(0))
        odd = vsplat(np.float32(0))
        address, end = x + at, x + at + (pixels - pixels % 2) * size
        while address < end:
            even = vadd(even, vload(address))
            odd = vadd(odd, vload(address + size))
            address += 2 * size
        if pixels % 2:
            even = vadd(even, vload(address))
        vstore(y + at, vmul(vadd(even, odd), share))


@compiled
def multiply_channels(x: int, pixels: int, channels: int, factors: int, y: int) -> None:
    """A map times one factor for each channel."""
    size = channels * FLOAT_BYTES
    for pixel in range(pixels):
        for vector in range(vectors_of(channels)):
            at = first_channel_of(vector, channels) * FLOAT_BYTES
            vstore(y + pixel * size + at, vmul(vload(x + pixel * size + at), vload(factors + at)))


@compiled
def combine(
    a: int, a_count: int, b: int, b_count: int, is_product: int, y: int, count: int
) -> None:
    """Sum or product of two short rows of floats; one that has a single number lends it to all."""
    left, right, result = floats_at(a, a_count), floats_at(b, b_count), floats_at(y, count)
    if a_count == count and b_count == count:  # without a choice in the loop it is vectorised
        if is_product:
            for index in range(count):
                result[index] = left[index] * right[index]
        else:
            for index in range(count):
                result[index] = left[index] + right[index]
        return
    if a_count == count and b_count == 1 and is_product:
        factor = right[0]
        for index in range(count):
            result[index] = left[index] * factor
        return
    for index in range(count):
        one = left[index if a_count > 1 else 0]
        other = right[index if b_count > 1 else 0]
        result[index] = one * other if is_product else one + other


@compiled
def apply(x: int, kind: int, activation: int, y: int, count: int) -> None:
    """A function of each number."""
    if kind in (_SIGMOID, _SILU):
        sigmoid_floats(x, y, count, kind == _SILU)
        return
    values, result = floats_at(x, count), floats_at(y, count)
    alpha, beta, low, high, multiply = floats_at(activation, 5)
    for index in range(count):
        value = values[index]
        if kind == _CLIP:
            bounded = value * alpha + beta
            # What is no number stays so: `min` and `max` would make a bound of it.
            if bounded < low:
                bounded = low
            elif bounded > high:
                bounded = high
            result[index] = bounded * value if multiply else bounded
        elif kind == _SINE:
            result[index] = np.float32(math.sin(value))
        elif kind == _COSINE:
            result[index] = np.float32(math.cos(value))
        elif kind == _FLOOR:
            result[index] = np.floor(value)
        else:
            result[index] = np.float32(1) / value
