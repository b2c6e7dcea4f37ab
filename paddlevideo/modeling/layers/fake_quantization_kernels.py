"""Compiled CPU kernels of fake quantisation (see `fake_quantization`): one pass over memory each.

Names: x, y [N] values; g... is a gradient; ``zero`` the zero point as a float.
"""

import numpy as np

from paddlevideo.utils.compiling import kept_on_disk

Array = np.ndarray

# No fast mathematics: a product with the inverse scale would round other values than a division.
_exact = kept_on_disk(nogil=True, error_model="numpy")
_TOP = np.float32(255.0)


@_exact
def forward(x: Array, y: Array, scale: np.float32, zero: np.float32) -> None:
    """Y = x on the steps of the range."""
    least, most = -zero, _TOP - zero
    for i in range(len(x)):
        y[i] = min(max(np.rint(x[i] / scale), least), most) * scale


@_exact
def backward(x: Array, g: Array, gx: Array, scale: np.float32, zero: np.float32) -> None:
    """Gx = g where x lies in the range, else 0."""
    least, most = -zero, _TOP - zero
    for i in range(len(x)):
        step = np.rint(x[i] / scale)
        gx[i] = g[i] if least <= step <= most else np.float32(0.0)


@_exact
def low_and_high(x: Array) -> tuple[float, float]:
    """The smallest and the largest of at least one value."""
    low = high = x[0]
    for i in range(len(x)):
        low = min(low, x[i])
        high = max(high, x[i])
    return low, high  # type: ignore[return-value]
