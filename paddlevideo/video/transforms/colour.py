"""`ColorJitter`: another light, another film, the same for every frame of a clip."""

import cv2
import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.video.steps import TRANSFORMS, Transform

# RGB to YIQ (NTSC): the luma, and two axes of colour in which a hue is an angle.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = np.linalg.inv(_YIQ)


@TRANSFORMS.register
class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue by random amounts, one draw per clip.

    All four together are one affine map of RGB: in YIQ, colour is turned by the hue's angle and
    scaled by the saturation; then everything is scaled by the brightness and, around the clip's
    mean luma, by the contrast.

    Args:
        brightness, contrast, saturation: the factor is uniform in 1 - x .. 1 + x, x from 0 to 1.
        hue: the turn is uniform in -x .. +x of a full circle, x from 0 to 0.5.
        p_gray: probability of taking all colour away.
    """

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        p_gray: float = 0.0,
    ) -> None:
        amounts = {
            "brightness": (brightness, 1.0),
            "contrast": (contrast, 1.0),
            "saturation": (saturation, 1.0),
            "hue": (hue, 0.5),
            "p_gray": (p_gray, 1.0),
        }
        for name, (value, largest) in amounts.items():
            if not 0.0 <= value <= largest:
                raise ArgumentError(f"{name} must be from 0 to {largest}, got {value}")
        self.brightness, self.contrast, self.saturation = brightness, contrast, saturation
        self.hue, self.p_gray = hue, p_gray

    def __call__(self, clip_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return uint8 of the same shape, cut off at 0 and 255."""
        brightness, contrast, saturation = (
            1.0 + amount * rng.uniform(-1.0, 1.0)
            for amount in (self.brightness, self.contrast, self.saturation)
        )
        angle = 2.0 * np.pi * self.hue * rng.uniform(-1.0, 1.0)
        if rng.uniform() < self.p_gray:
            saturation = 0.0
        matrix = brightness * contrast * colour_matrix(saturation, angle)
        pixels = np.ascontiguousarray(clip_THWC).reshape(1, -1, 3)
        mean_luma = brightness * float(_YIQ[0] @ pixels.reshape(-1, 3).mean(axis=0))
        offset = np.full((3, 1), (1.0 - contrast) * mean_luma)
        return cv2.transform(pixels, np.hstack([matrix, offset])).reshape(clip_THWC.shape)


def colour_matrix(saturation: float, angle: float) -> np.ndarray:
    """RGB to RGB [3, 3]: scale colour by ``saturation`` and turn it by ``angle`` (radians)."""
    cosine, sine = saturation * np.cos(angle), saturation * np.sin(angle)
    turn = np.array([[1.0, 0.0, 0.0], [0.0, cosine, -sine], [0.0, sine, cosine]])
    return _RGB @ turn @ _YIQ
