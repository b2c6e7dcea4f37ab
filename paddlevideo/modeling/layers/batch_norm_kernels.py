"""Compiled CPU kernels of batch norm with its activation, forward and backward.

What a channel needs lies in the cache while its mean, its variance and its outputs are computed.
Only the input is kept for the gradient: the normalised values and the activation are computed
again, which is faster than keeping them and saves a third of a training step's memory.

Names: x [B, C, N] with N the values of a channel in a sample; y = act(x * scale + shift) with
``scale`` = gamma / sqrt(variance + epsilon), ``shift`` = beta - mean * scale, each [C]; g... is a
gradient. ``first`` to ``last`` are the channels of one thread (see `depthwise_kernels`).
"""

import numpy as np

from paddlevideo.utils.compiling import kept_on_disk

Array = np.ndarray

IDENTITY, SWISH, HARD_SWISH = 0, 1, 2
KINDS = {"identity": IDENTITY, "swish": SWISH, "hard_swish": HARD_SWISH}

# error_model: a check for division by zero would keep the loop from being vectorised.
_compiled = kept_on_disk(nogil=True, fastmath=True, error_model="numpy")
# Without reassociation: the reduction of the exponential's argument depends on its order.
_exact = kept_on_disk(nogil=True, fastmath={"contract", "nnan", "ninf"}, error_model="numpy")

_BLOCK = 1024  # values computed at a time, so that temporaries stay in the first cache
_LOG2_E = np.float32(1.44269504)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LARGEST = np.float32(87.0)  # exp(87) and exp(-87) are still normal float32 numbers
# Taylor's series of exp(r) - 1 - r over r^2, for |r| <= ln(2) / 2.
_P2, _P3, _P4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
_P5, _P6, _P7 = np.float32(1 / 120), np.float32(1 / 720), np.float32(1 / 5040)


@_exact
def _sigmoid(z: Array, out: Array, powers: Array, count: int) -> None:
    """out = 1 / (1 + exp(-z)), without a call into the C library, so that it is vectorised.

    exp(v) = 2^n exp(r) with n = round(v / ln 2); ``powers`` is int32, for the bits of 2^n.
    """
    for i in range(count):
        v = min(max(-z[i], -_LARGEST), _LARGEST)
        n = np.floor(v * _LOG2_E + np.float32(0.5))
        powers[i] = (np.int32(n) + np.int32(127)) << np.int32(23)
        r = (v - n * _LN2_HIGH) - n * _LN2_LOW
        p = _P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * (_P6 + r * _P7))))
        out[i] = np.float32(1) + (r + r * r * p)
    scales = powers.view(np.float32)
    for i in range(count):
        out[i] = np.float32(1) / (np.float32(1) + out[i] * scales[i])


@_compiled
def _activate(z: Array, s: Array, powers: Array, y: Array, kind: int) -> None:
    """Y = act(z)."""
    count = len(y)
    if kind == SWISH:
        _sigmoid(z, s, powers, count)
        for i in range(count):
            y[i] = z[i] * s[i]
    elif kind == HARD_SWISH:
        for i in range(count):
            gate = min(max(z[i] + np.float32(3), np.float32(0)), np.float32(6))
            y[i] = z[i] * gate * np.float32(1 / 6)
    else:
        for i in range(count):
            y[i] = z[i]


@_compiled
def _through_activation(z: Array, s: Array, powers: Array, gy: Array, g: Array, kind: int) -> None:
    """G = gy * act'(z)."""
    count = len(gy)
    if kind == SWISH:
        _sigmoid(z, s, powers, count)
        for i in range(count):
            g[i] = gy[i] * s[i] * (np.float32(1) + z[i] * (np.float32(1) - s[i]))
    elif kind == HARD_SWISH:
        for i in range(count):
            inner = (np.float32(2) * z[i] + np.float32(3)) * np.float32(1 / 6)
            slope = np.float32(1) if z[i] > np.float32(3) else inner
            g[i] = gy[i] * (np.float32(0) if z[i] < np.float32(-3) else slope)
    else:
        for i in range(count):
            g[i] = gy[i]


@_compiled
def moments(x: Array, mean: Array, variance: Array, first: int, last: int) -> None:
    """Mean and biased variance of the channels ``first`` to ``last``, in two passes."""
    batch, _, size = x.shape
    for c in range(first, last):
        total = 0.0
        for b in range(batch):
            row = x[b, c]
            for start in range(0, size, _BLOCK):
                block = row[start : start + _BLOCK]
                part = np.float32(0)
                for i in range(len(block)):
                    part += block[i]
                total += part
        centre = np.float32(total / (batch * size))
        squares = 0.0
        for b in range(batch):
            row = x[b, c]
            for start in range(0, size, _BLOCK):
                block = row[start : start + _BLOCK]
                part = np.float32(0)
                for i in range(len(block)):
                    part += (block[i] - centre) * (block[i] - centre)
                squares += part
        mean[c], variance[c] = centre, squares / (batch * size)


@_compiled
def forward(
    x: Array, scale: Array, shift: Array, y: Array, kind: int, first: int, last: int
) -> None:
    """Compute the channels ``first`` to ``last`` of y."""
    batch, _, size = x.shape
    z: Array = np.empty(_BLOCK, np.float32)
    s: Array = np.empty(_BLOCK, np.float32)
    powers: Array = np.empty(_BLOCK, np.int32)
    for c in range(first, last):
        for b in range(batch):
            for start in range(0, size, _BLOCK):
                block = x[b, c, start : start + _BLOCK]
                for i in range(len(block)):
                    z[i] = block[i] * scale[c] + shift[c]
                _activate(z, s, powers, y[b, c, start : start + _BLOCK], kind)


@_compiled
def backward(
    x: Array,
    scale: Array,
    shift: Array,
    mean: Array,
    inverse: Array,
    gy: Array,
    gx: Array,
    ggamma: Array,
    gbeta: Array,
    kind: int,
    of_batch: bool,
    first: int,
    last: int,
) -> None:
    """Compute the channels ``first`` to ``last`` of the gradients.

    Args:
        inverse: 1 / sqrt(variance + epsilon), [C].
        of_batch: mean and variance are those of x, and so depend on it.
    """
    batch, _, size = x.shape
    z: Array = np.empty(_BLOCK, np.float32)
    s: Array = np.empty(_BLOCK, np.float32)
    powers: Array = np.empty(_BLOCK, np.int32)
    for c in range(first, last):
        sum_g, sum_gx = 0.0, 0.0
        for b in range(batch):
            for start in range(0, size, _BLOCK):
                block = x[b, c, start : start + _BLOCK]
                g = gx[b, c, start : start + _BLOCK]
                for i in range(len(block)):
                    z[i] = block[i] * scale[c] + shift[c]
                _through_activation(z, s, powers, gy[b, c, start : start + _BLOCK], g, kind)
                part_g, part_gx = np.float32(0), np.float32(0)
                for i in range(len(block)):
                    part_g += g[i]
                    part_gx += g[i] * ((block[i] - mean[c]) * inverse[c])
                sum_g += part_g
                sum_gx += part_gx
        gbeta[c], ggamma[c] = sum_g, sum_gx
        count = batch * size
        mean_g = np.float32(sum_g / count if of_batch else 0.0)
        mean_gx = np.float32(sum_gx / count if of_batch else 0.0)
        for b in range(batch):
            row, g = x[b, c], gx[b, c]
            for i in range(size):
                normalised = (row[i] - mean[c]) * inverse[c]
                g[i] = scale[c] * (g[i] - mean_g - normalised * mean_gx)
