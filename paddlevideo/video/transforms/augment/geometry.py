"""Operations that move pixels: shear, translation, rotation, and a box that is cut out.

Every function takes a clip uint8 [T, H, W, 3] and returns a new one. Pixels are taken from the
nearest one of the source, as AutoAugment's authors did; what comes from outside is ``FILL``.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

# Their grey, for which a network sees nothing.
FILL = 128


class Affine(NamedTuple):
    """Where the pixel at (x, y) comes from: (a x + b y + c, d x + e y + f).

    Coordinates count from the left upper corner, so that a pixel's centre is at a half, as in
    Pillow's ``Image.transform``.
    """

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 0.0
    e: float = 1.0
    f: float = 0.0


def moved(clip_THWC: np.ndarray, affine: Affine) -> np.ndarray:
    """Take every pixel from where ``affine`` says."""
    height, width = clip_THWC.shape[1:3]
    x, y = np.arange(width) + 0.5, (np.arange(height) + 0.5)[:, None]
    source: np.ndarray = np.empty((height, width, 2), np.int16)
    for axis, size, at in (
        (0, width, affine.a * x + affine.b * y + affine.c),
        (1, height, affine.d * x + affine.e * y + affine.f),
    ):
        source[..., axis] = np.clip(np.floor(at), -1, size)  # one beyond is as far as any
    result: np.ndarray = np.empty(clip_THWC.shape, np.uint8)
    for frame_HWC, target_HWC in zip(np.ascontiguousarray(clip_THWC), result, strict=True):
        cv2.remap(
            frame_HWC, source, None, cv2.INTER_NEAREST, target_HWC, cv2.BORDER_CONSTANT, (FILL,) * 3
        )
    return result


def shear_x(clip_THWC: np.ndarray, level: float) -> np.ndarray:
    """Move row y by ``level * y`` pixels to the left."""
    return moved(clip_THWC, Affine(b=level))


def shear_y(clip_THWC: np.ndarray, level: float) -> np.ndarray:
    """Move column x by ``level * x`` pixels upwards."""
    return moved(clip_THWC, Affine(d=level))


def translate_x(clip_THWC: np.ndarray, pixels: float) -> np.ndarray:
    """Move the clip by ``pixels`` to the left."""
    return moved(clip_THWC, Affine(c=pixels))


def translate_y(clip_THWC: np.ndarray, pixels: float) -> np.ndarray:
    """Move the clip by ``pixels`` upwards."""
    return moved(clip_THWC, Affine(f=pixels))


def rotate(clip_THWC: np.ndarray, degrees: float) -> np.ndarray:
    """Turn the clip about its centre, counter-clockwise as it is seen."""
    height, width = clip_THWC.shape[1:3]
    angle = -math.radians(degrees)
    a, b = math.cos(angle), math.sin(angle)
    x, y = width / 2.0, height / 2.0
    return moved(clip_THWC, Affine(a, b, x - a * x - b * y, -b, a, y + b * x - a * y))


def cutout(clip_THWC: np.ndarray, x: int, y: int, half: int) -> np.ndarray:
    """Fill the square of ``2 * half`` pixels about (x, y), as far as it lies in the frame."""
    result = clip_THWC.copy()
    result[:, max(0, y - half) : y + half, max(0, x - half) : x + half] = FILL
    return result
