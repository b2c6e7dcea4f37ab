"""Sums, means and roundings of maps of which some are on 8 bits."""

import numpy as np

from paddlevideo.runtime.engines.compiled.access import (
    Array,
    activation_at,
    compiled,
    first_channel_of,
    floats_at,
    vectors_of,
)
from paddlevideo.runtime.engines.compiled.integer_simd import (
    vdivide,
    vload_bytes,
    vstore_bytes,
    vsub,
)
from paddlevideo.runtime.engines.compiled.simd import (
    FLOAT_BYTES,
    keep_apart,
    vactivate,
    vadd,
    vfma,
    vload,
    vmul,
    vsplat,
    vstore,
)


@compiled
def mixed_sum(
    maps: Array, count: int, pixels: int, channels: int, w: int, bias: int, activation: int,
    numbers: int, y: int, y8: int,
) -> None:  # fmt: skip
    """`pointwise.weighted_sum` of maps of which some are bytes, as floats, bytes or both.

    Args:
        maps: [count, 2]: address, and whether it is bytes. Their scales are part of the weights,
            their zeros of the bias.
        numbers: address of scale, low, high and zero of the bytes.
    """
    keep_apart()
    given: Array = floats_at(numbers, 4)
    steps = vsplat(np.float32(1) / given[0])
    low, high, zero = vsplat(given[1]), vsplat(given[2]), int(given[3])
    size = channels * FLOAT_BYTES
    alpha, beta, least, most, multiply = activation_at(activation)
    for pixel in range(0, pixels - pixels % 4, 4):
        for vector in range(vectors_of(channels)):
            first = first_channel_of(vector, channels)
            at = first * FLOAT_BYTES
            one = two = three = last = vload(bias + at)
            for index in range(count):
                weight = vload(w + index * size + at)
                if maps[index, 1]:
                    source = maps[index, 0] + pixel * channels + first
                    one = vfma(vload_bytes(source), weight, one)
                    two = vfma(vload_bytes(source + channels), weight, two)
                    three = vfma(vload_bytes(source + 2 * channels), weight, three)
                    last = vfma(vload_bytes(source + 3 * channels), weight, last)
                else:
                    source = maps[index, 0] + pixel * size + at
                    one = vfma(vload(source), weight, one)
                    two = vfma(vload(source + size), weight, two)
                    three = vfma(vload(source + 2 * size), weight, three)
                    last = vfma(vload(source + 3 * size), weight, last)
            one = vactivate(one, alpha, beta, least, most, multiply)
            two = vactivate(two, alpha, beta, least, most, multiply)
            three = vactivate(three, alpha, beta, least, most, multiply)
            last = vactivate(last, alpha, beta, least, most, multiply)
            if y:
                to = y + pixel * size + at
                vstore(to, one)
                vstore(to + size, two)
                vstore(to + 2 * size, three)
                vstore(to + 3 * size, last)
            if y8:
                to = y8 + pixel * channels + first
                vstore_bytes(to, vmul(one, steps), low, high, zero)
                vstore_bytes(to + channels, vmul(two, steps), low, high, zero)
                vstore_bytes(to + 2 * channels, vmul(three, steps), low, high, zero)
                vstore_bytes(to + 3 * channels, vmul(last, steps), low, high, zero)
    _last_pixels(maps, count, pixels, channels, w, bias, activation, numbers, y, y8)


@compiled
def _last_pixels(
    maps: Array, count: int, pixels: int, channels: int, w: int, bias: int, activation: int,
    numbers: int, y: int, y8: int,
) -> None:  # fmt: skip
    """Those of `mixed_sum` that are no four."""
    given: Array = floats_at(numbers, 4)
    steps = vsplat(np.float32(1) / given[0])
    low, high, zero = vsplat(given[1]), vsplat(given[2]), int(given[3])
    size = channels * FLOAT_BYTES
    alpha, beta, least, most, multiply = activation_at(activation)
    for pixel in range(pixels - pixels % 4, pixels):
        for vector in range(vectors_of(channels)):
            first = first_channel_of(vector, channels)
            at = first * FLOAT_BYTES
            total = vload(bias + at)
            for index in range(count):
                weight = vload(w + index * size + at)
                if maps[index, 1]:
                    value = vload_bytes(maps[index, 0] + pixel * channels + first)
                else:
                    value = vload(maps[index, 0] + pixel * size + at)
                total = vfma(value, weight, total)
            total = vactivate(total, alpha, beta, least, most, multiply)
            if y:
                vstore(y + pixel * size + at, total)
            if y8:
                vstore_bytes(y8 + pixel * channels + first, vmul(total, steps), low, high, zero)


@compiled
def mean_of_bytes(
    x: int,
    pixels: int,
    channels: int,
    scale: float,
    zero: float,
    y: int,
    first_vector: int,
    last_vector: int,
) -> None:
    """The mean over a map of bytes, [channels] floats; of some vectors of them."""
    share, moved = vsplat(np.float32(scale)), vsplat(np.float32(zero))
    number = vsplat(np.float32(pixels))
    for vector in range(first_vector, last_vector):
        at = first_channel_of(vector, channels)
        total = vsplat(np.float32(0))
        for pixel in range(pixels):
            total = vadd(total, vload_bytes(x + pixel * channels + at))
        mean = vmul(vsub(vdivide(total, number), moved), share)
        vstore(y + at * FLOAT_BYTES, mean)


@compiled
def average_of_bytes(
    x: int,
    rows: int,
    columns: int,
    channels: int,
    kernel: int,
    stride: int,
    top: int,
    left: int,
    numbers: int,
    y: int,
    first_out: int,
    last_out: int,
    out_columns: int,
) -> None:
    """Average pooling of bytes to bytes; what is outside the map does not count.

    The rows ``first_out`` to ``last_out`` of the result are computed.

    Args:
        numbers: address of scale and zero of the input; scale, low, high and zero of the output.
    """
    given: Array = floats_at(numbers, 6)
    # A quotient of equal scales is 1: means that lie half way between two steps then stay so.
    ratio, moved = vsplat(given[0] / given[2]), vsplat(given[1])
    low, high, zero = vsplat(given[3]), vsplat(given[4]), int(given[5])
    for out_row in range(first_out, last_out):
        first_row = max(out_row * stride - top, 0)
        last_row = min(out_row * stride - top + kernel, rows)
        for out_column in range(out_columns):
            start = out_column * stride - left
            first, last = max(start, 0), min(start + kernel, columns)
            share = vsplat(np.float32(1) / np.float32((last_row - first_row) * (last - first)))
            to = y + (out_row * out_columns + out_column) * channels
            for vector in range(vectors_of(channels)):
                at = first_channel_of(vector, channels)
                total = vsplat(np.float32(0))
                for row in range(first_row, last_row):
                    for column in range(first, last):
                        source = x + (row * columns + column) * channels + at
                        total = vadd(total, vload_bytes(source))
                mean = vsub(vmul(total, share), moved)
                vstore_bytes(to + at, vmul(mean, ratio), low, high, zero)


@compiled
def quantize(x: int, count: int, numbers: int, y: int) -> None:
    """Floats as bytes; ``numbers`` is the address of scale, low, high and zero."""
    given: Array = floats_at(numbers, 4)
    scale, low, high, zero = vsplat(given[0]), vsplat(given[1]), vsplat(given[2]), int(given[3])
    for vector in range(vectors_of(count)):
        at = first_channel_of(vector, count)
        vstore_bytes(y + at, vdivide(vload(x + at * FLOAT_BYTES), scale), low, high, zero)


@compiled
def dequantize(x: int, count: int, scale: float, zero: float, y: int) -> None:
    """Bytes as floats."""
    share, moved = vsplat(np.float32(scale)), vsplat(np.float32(zero))
    for vector in range(vectors_of(count)):
        at = first_channel_of(vector, count)
        vstore(y + at * FLOAT_BYTES, vmul(vsub(vload_bytes(x + at), moved), share))


@compiled
def multiply_bytes(x: int, pixels: int, channels: int, factors: int, numbers: int, y: int) -> None:
    """As `multiply_to_bytes` of a map of bytes; ``numbers`` as for `average_of_bytes`."""
    given: Array = floats_at(numbers, 6)
    scale, moved = vsplat(given[0]), vsplat(given[1])
    steps = vsplat(np.float32(1) / given[2])
    low, high, zero = vsplat(given[3]), vsplat(given[4]), int(given[5])
    for vector in range(vectors_of(channels)):
        first = first_channel_of(vector, channels)
        factor = vload(factors + first * FLOAT_BYTES)
        for pixel in range(pixels):
            at = pixel * channels + first
            product = vmul(vmul(vsub(vload_bytes(x + at), moved), scale), factor)
            vstore_bytes(y + at, vmul(product, steps), low, high, zero)


@compiled
def multiply_to_bytes(
    x: int, pixels: int, channels: int, factors: int, numbers: int, y: int
) -> None:
    """A map times one factor for each channel, as bytes; ``numbers`` as for `quantize`."""
    given: Array = floats_at(numbers, 4)
    steps = vsplat(np.float32(1) / given[0])
    low, high, zero = vsplat(given[1]), vsplat(given[2]), int(given[3])
    size = channels * FLOAT_BYTES
    for pixel in range(pixels):
        for vector in range(vectors_of(channels)):
            first = first_channel_of(vector, channels)
            at = first * FLOAT_BYTES
            product = vmul(vload(x + pixel * size + at), vload(factors + at))
            vstore_bytes(y + pixel * channels + first, vmul(product, steps), low, high, zero)
