"""Operations on the values of pixels, as Pillow's ``ImageOps`` and ``ImageEnhance`` define them.

Every function takes a clip uint8 [T, H, W, 3], RGB, and returns a new one. What Pillow measures on
an image (a histogram, a mean, the extremes) is measured on the whole clip, so that all frames are
changed alike and nothing flickers; a clip of one frame gets Pillow's result. An operation that
treats each value by itself is one table of 256 entries.
"""

import cv2
import numpy as np

# Rec. 601, as Pillow converts to grey.
_LUMA = np.array([0.299, 0.587, 0.114])
_VALUES = np.arange(256)
# Pillow's ImageFilter.SMOOTH.
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13.0
_IDENTITY = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])


def _rows(clip_THWC: np.ndarray) -> np.ndarray:
    """The clip as one tall image [T * H, W, 3] without gaps, which is what OpenCV takes."""
    return np.ascontiguousarray(clip_THWC).reshape(-1, *clip_THWC.shape[2:])


def _looked_up(clip_THWC: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Replace every value by that of ``table``, uint8 [256] or, for each channel, [256, 3]."""
    lut: np.ndarray = table.astype(np.uint8).reshape(256, 1, -1)
    return cv2.LUT(_rows(clip_THWC), lut).reshape(clip_THWC.shape)


def _histograms(clip_THWC: np.ndarray) -> np.ndarray:
    """How often each value occurs in each channel, int64 [256, 3]."""
    image = _rows(clip_THWC)
    counts = [cv2.calcHist([image], [c], None, [256], [0, 256]).ravel() for c in range(3)]
    return np.stack(counts, axis=1).astype(np.int64)


def _blended(degenerate: float, values: np.ndarray, factor: float) -> np.ndarray:
    """``degenerate + factor * (values - degenerate)``, cut off at 0 and 255, fractions dropped."""
    start = np.float32(degenerate)
    blended = start + np.float32(factor) * (values.astype(np.float32) - start)
    return np.clip(blended, 0, 255).astype(np.uint8)


def invert(clip_THWC: np.ndarray) -> np.ndarray:
    """``255 - v``."""
    return cv2.bitwise_not(_rows(clip_THWC)).reshape(clip_THWC.shape)


def solarize(clip_THWC: np.ndarray, threshold: int) -> np.ndarray:
    """``255 - v`` for values of ``threshold`` and above; 256 changes nothing."""
    return _looked_up(clip_THWC, np.where(_VALUES < threshold, _VALUES, 255 - _VALUES))


def solarize_add(clip_THWC: np.ndarray, addition: int, threshold: int = 128) -> np.ndarray:
    """``v + addition``, cut off at 255, for values below ``threshold``."""
    added = np.clip(_VALUES + addition, 0, 255)
    return _looked_up(clip_THWC, np.where(_VALUES < threshold, added, _VALUES))


def posterize(clip_THWC: np.ndarray, bits: int) -> np.ndarray:
    """Keep the ``bits`` highest bits of every value, 1 to 8."""
    mask = 256 - (1 << (8 - bits))
    return _looked_up(clip_THWC, _VALUES & mask)


def autocontrast(clip_THWC: np.ndarray) -> np.ndarray:
    """Stretch each channel so that its smallest value is 0 and its largest 255."""
    table: np.ndarray = np.empty((256, 3), np.uint8)
    for channel, counts in enumerate(_histograms(clip_THWC).T):
        found = np.flatnonzero(counts)
        low, high = (int(found[0]), int(found[-1])) if len(found) else (0, 0)
        if high <= low:
            table[:, channel] = _VALUES
            continue
        scale = 255.0 / (high - low)
        table[:, channel] = np.clip(np.trunc(_VALUES * scale - low * scale), 0, 255)
    return _looked_up(clip_THWC, table)


def equalize(clip_THWC: np.ndarray) -> np.ndarray:
    """Map each channel so that its values are as evenly spread as they can be.

    With counts h and ``step = (sum(h) - h[largest value]) // 255`` value v becomes
    ``(step // 2 + sum of h below v) // step``; a channel with a step of 0 is left alone.
    """
    table: np.ndarray = np.empty((256, 3), np.uint8)
    for channel, counts in enumerate(_histograms(clip_THWC).T):
        found = counts[counts > 0]
        step = int(found.sum() - found[-1]) // 255 if len(found) > 1 else 0
        if step == 0:
            table[:, channel] = _VALUES
            continue
        below = np.cumsum(counts) - counts
        table[:, channel] = np.minimum((step // 2 + below) // step, 255)
    return _looked_up(clip_THWC, table)


def brightness(clip_THWC: np.ndarray, factor: float) -> np.ndarray:
    """Blend with black: 0 is black, 1 the clip, above 1 brighter."""
    return _looked_up(clip_THWC, _blended(0.0, _VALUES, factor))


def contrast(clip_THWC: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the clip's mean grey, a whole number: 0 is that grey, 1 the clip."""
    means = np.array(cv2.mean(_rows(clip_THWC))[:3])
    grey = int(float(_LUMA @ means) + 0.5)
    return _looked_up(clip_THWC, _blended(float(grey), _VALUES, factor))


def color(clip_THWC: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the clip in grey: 0 is grey, 1 the clip, above 1 more colourful.

    One matrix on RGB, rounded; Pillow rounds the grey and drops the fraction of the sum.
    """
    matrix = factor * np.eye(3) + (1.0 - factor) * np.tile(_LUMA, (3, 1))
    return cv2.transform(_rows(clip_THWC), matrix).reshape(clip_THWC.shape)


def sharpness(clip_THWC: np.ndarray, factor: float) -> np.ndarray:
    """Blend with a smoothed clip: 0 is smooth, 1 the clip, above 1 sharper.

    One kernel, rounded (Pillow rounds the smoothed image and drops the fraction of the sum). The
    outermost pixels of every frame stay as they are.
    """
    if min(clip_THWC.shape[1:3]) < 3:
        return clip_THWC.copy()
    kernel = factor * _IDENTITY + (1.0 - factor) * _SMOOTH
    # Rows of other frames reach only the outermost rows, which are put back.
    sharpened = cv2.filter2D(_rows(clip_THWC), -1, kernel).reshape(clip_THWC.shape)
    for border in (np.s_[:, :1], np.s_[:, -1:], np.s_[:, :, :1], np.s_[:, :, -1:]):
        sharpened[border] = clip_THWC[border]
    return sharpened
