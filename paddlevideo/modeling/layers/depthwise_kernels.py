"""Compiled CPU kernels of the depthwise 3-D convolution, forward and backward.

Every frame of a channel is copied once into zero-padded planes, one for each residue of row and
column by the stride. In a plane all outputs of a frame lie a fixed distance from the inputs under
one kernel tap, so that the whole convolution is a few long multiply-adds, which compilers turn
into vector instructions. Rows of outputs keep the width of a plane: what is computed between two
rows is thrown away.

Channels are independent and are shared out to threads as ranges ``first`` to ``last``; so results
do not depend on the number of threads. Numba (BSD) compiles at the first call and keeps the result
on the disk; this module is imported only when a kernel is needed.

Names: x [B, C, T, H, W], w [C, kt, kh, kw], y [B, C, T_out, H_out, W_out]; ``before`` is the
padding before time, height and width; g... is a gradient.
"""

import numpy as np

from paddlevideo.utils.compiling import kept_on_disk

Array = np.ndarray

_compiled = kept_on_disk(nogil=True, fastmath=True)
_inlined = kept_on_disk(nogil=True, fastmath=True, inline="always")


@_inlined
def _plane_size(size: int, kernel: int, stride: int, before: int, out_size: int) -> int:
    """Rows (or columns) of a plane: those the outputs reach, and those the inputs fill."""
    return max((size + before + stride - 1) // stride, out_size + (kernel - 1) // stride)


@_inlined
def _to_planes(x: Array, planes: Array, stride: int, top: int, left: int, pitch: int) -> None:
    """Copy one map [H, W] into its planes; what is outside the map stays zero."""
    height, width = x.shape
    for h in range(height):
        row, start = (h + top) % stride, (h + top) // stride * pitch
        for column in range(stride):
            plane = planes[row * stride + column]
            first = (column - left) % stride
            at = start + (first + left) // stride
            for i in range((width - first + stride - 1) // stride):
                plane[at + i] = x[h, first + i * stride]


@_inlined
def _from_planes(planes: Array, x: Array, stride: int, top: int, left: int, pitch: int) -> None:
    """The inverse of `_to_planes`."""
    height, width = x.shape
    for h in range(height):
        row, start = (h + top) % stride, (h + top) // stride * pitch
        for column in range(stride):
            plane = planes[row * stride + column]
            first = (column - left) % stride
            at = start + (first + left) // stride
            for i in range((width - first + stride - 1) // stride):
                x[h, first + i * stride] = plane[at + i]


@_inlined
def _to_rows(g: Array, rows: Array, pitch: int) -> None:
    """Copy one map [H_out, W_out] into rows of a plane's width; between them is zero."""
    height, width = g.shape
    for h in range(height):
        for i in range(width):
            rows[h * pitch + i] = g[h, i]


@_inlined
def _taps_of_row(planes: Array, kh: int, kw: int, stride: int, pitch: int, count: int) -> Array:
    """The inputs under one kernel tap, for all outputs of a frame."""
    offset = kh // stride * pitch + kw // stride
    return planes[kh % stride * stride + kw % stride, offset : offset + count]


@_inlined
def _add_taps(sums: Array, planes: Array, w: Array, stride: int, pitch: int) -> None:
    """Add one frame's part: ``sums`` += planes under every tap of w [kh, kw]."""
    count = len(sums)
    for kh in range(w.shape[0]):
        kw = 0
        while kw + 3 <= w.shape[1]:  # three taps a pass: fewer loads and stores of the sums
            a = _taps_of_row(planes, kh, kw, stride, pitch, count)
            b = _taps_of_row(planes, kh, kw + 1, stride, pitch, count)
            c = _taps_of_row(planes, kh, kw + 2, stride, pitch, count)
            wa, wb, wc = w[kh, kw], w[kh, kw + 1], w[kh, kw + 2]
            for i in range(count):
                sums[i] += wa * a[i] + wb * b[i] + wc * c[i]
            kw += 3
        while kw < w.shape[1]:
            a = _taps_of_row(planes, kh, kw, stride, pitch, count)
            wa = w[kh, kw]
            for i in range(count):
                sums[i] += wa * a[i]
            kw += 1


@_inlined
def _scatter_taps(sums: Array, planes: Array, w: Array, stride: int, pitch: int) -> None:
    """The transpose of `_add_taps`: the planes under every tap += ``sums``."""
    count = len(sums)
    for kh in range(w.shape[0]):
        for kw in range(w.shape[1]):
            a = _taps_of_row(planes, kh, kw, stride, pitch, count)
            wa = w[kh, kw]
            for i in range(count):
                a[i] += wa * sums[i]


@_inlined
def _correlate_taps(g: Array, planes: Array, gw: Array, stride: int, pitch: int) -> None:
    """Gradient of every tap of one frame: gw [kh, kw] += planes under it times ``g``."""
    count = len(g)
    for kh in range(gw.shape[0]):
        for kw in range(gw.shape[1]):
            a = _taps_of_row(planes, kh, kw, stride, pitch, count)
            total = np.float32(0)
            for i in range(count):
                total += a[i] * g[i]
            gw[kh, kw] += total


@_compiled
def forward(
    x: Array, w: Array, y: Array, stride: int, before: tuple[int, int, int], first: int, last: int
) -> None:
    """Compute the channels ``first`` to ``last`` of y."""
    batch, _, frames, height, width = x.shape
    _, kt, kh, kw = w.shape
    out_frames, out_height, out_width = y.shape[2:]
    pitch = _plane_size(width, kw, stride, before[2], out_width)
    # One row more than is reached: the last taps of the last row read beyond its end.
    plane_rows = _plane_size(height, kh, stride, before[1], out_height) + 1
    planes = np.zeros((frames, stride * stride, plane_rows * pitch + kw), np.float32)
    sums = np.empty(out_height * pitch, np.float32)
    for c in range(first, last):
        for b in range(batch):
            for t in range(frames):
                _to_planes(x[b, c, t], planes[t], stride, before[1], before[2], pitch)
            for t in range(out_frames):
                sums[:] = 0
                for k in range(max(0, before[0] - t), min(kt, frames + before[0] - t)):
                    _add_taps(sums, planes[t + k - before[0]], w[c, k], stride, pitch)
                for h in range(out_height):
                    for i in range(out_width):
                        y[b, c, t, h, i] = sums[h * pitch + i]


@_compiled
def backward(
    x: Array,
    w: Array,
    gy: Array,
    gx: Array,
    gw: Array,
    stride: int,
    before: tuple[int, int, int],
    first: int,
    last: int,
) -> None:
    """Compute the channels ``first`` to ``last`` of gx and gw, which is zero before."""
    batch, _, frames, height, width = x.shape
    _, kt, kh, kw = w.shape
    out_frames, out_height, out_width = gy.shape[2:]
    pitch = _plane_size(width, kw, stride, before[2], out_width)
    plane_rows = _plane_size(height, kh, stride, before[1], out_height) + 1
    planes = np.zeros((frames, stride * stride, plane_rows * pitch + kw), np.float32)
    g_planes = np.empty_like(planes[0])
    rows = np.zeros((out_frames, out_height * pitch), np.float32)
    for c in range(first, last):
        for b in range(batch):
            for t in range(out_frames):
                _to_rows(gy[b, c, t], rows[t], pitch)
            for f in range(frames):
                _to_planes(x[b, c, f], planes[f], stride, before[1], before[2], pitch)
                g_planes[:] = 0
                for k in range(kt):
                    t = f - k + before[0]
                    if 0 <= t < out_frames:
                        _scatter_taps(rows[t], g_planes, w[c, k], stride, pitch)
                        _correlate_taps(rows[t], planes[f], gw[c, k], stride, pitch)
                _from_planes(g_planes, gx[b, c, f], stride, before[1], before[2], pitch)
