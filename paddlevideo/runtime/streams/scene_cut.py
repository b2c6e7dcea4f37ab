"""`SceneCut`: notices that the picture has changed altogether."""

import cv2
import numpy as np

_SIDE = 32
PICTURE_SHAPE = (_SIDE, _SIDE)
# Of 22 real clips looked at 5 times a second, those of one shot stay below 0.17 from one look to
# the next (a shaking hand-held camera included); pictures of different clips differ by more in
# four cases of five.
DEFAULT_THRESHOLD = 0.17


class SceneCut:
    """Compares each frame that is taken with the one before it.

    The measure is the mean absolute difference of the two pictures in grey, shrunk to 32x32, as a
    share of the full range (0 to 1). Above the threshold it is a cut. A cut between scenes of the
    same brightness and layout passes unnoticed; a flash counts as two.

    Args:
        threshold: see the measure.
    """

    def __init__(self, threshold: float = DEFAULT_THRESHOLD) -> None:
        self.threshold = threshold
        self.reset()

    def reset(self) -> None:
        """Forget the last picture."""
        self._last_HW: np.ndarray | None = None

    def __call__(self, frame_HWC: np.ndarray) -> bool:
        """Whether uint8 RGB ``frame_HWC`` is of another scene than the frame before."""
        small_HWC = cv2.resize(
            np.ascontiguousarray(frame_HWC), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA
        )
        grey_HW = cv2.cvtColor(small_HWC, cv2.COLOR_RGB2GRAY).astype(np.float32)
        last_HW, self._last_HW = self._last_HW, grey_HW
        if last_HW is None:
            return False
        return bool(np.abs(grey_HW - last_HW).mean() / 255 > self.threshold)

    def snapshot(self) -> dict[str, np.ndarray]:
        """The last picture; none before the first frame."""
        return {} if self._last_HW is None else {"last_picture": np.array(self._last_HW)}

    def mark(self) -> np.ndarray | None:
        """The last picture; `rewind` takes it."""
        return self._last_HW

    def rewind(self, mark: np.ndarray | None) -> None:
        """Compare the next picture with that of `mark`."""
        self._last_HW = mark

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a snapshot."""
        picture = arrays.get("last_picture")
        self._last_HW = None if picture is None else np.array(picture)
