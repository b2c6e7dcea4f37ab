"""Videos through OpenCV, with PaddleVideo's reading rule."""

import cv2
import numpy as np

from paddlevideo.loader.decoders.base import KEEP_BYTES, FrameSource, check_is_file
from paddlevideo.utils.errors import DataError


class OpenCVSource(FrameSource):
    """Frames as PaddleVideo's ``backend: cv2`` sees them (reference, 2.3).

    As many reads as the header counts frames; a read that fails is skipped, the others are
    numbered in order. So a file with more frames than its header says gives the header's number,
    and a damaged file also gives what decodes behind the damage. Without a count in the header:
    reads until the first failure. Rotation noted in the file is applied by OpenCV.

    Raises:
        DataError: no such file, OpenCV cannot open it, or not one read succeeds.
    """

    def __init__(self, path: str, keep_bytes: int = KEEP_BYTES) -> None:
        check_is_file(path)
        self.path = path
        self._kept: dict[int, np.ndarray] | None = {}
        capture = self._open()
        try:
            fps = capture.get(cv2.CAP_PROP_FPS)
            header_frames = int(max(capture.get(cv2.CAP_PROP_FRAME_COUNT), 0))
            self._good_reads = self._read_all(capture, header_frames, keep_bytes)
        finally:
            capture.release()
        self.fps = fps if fps > 0 else None
        self.num_frames = len(self._good_reads)
        if self.num_frames == 0:
            raise DataError(f"{path}: OpenCV can decode no frame of it")
        if self.fps:
            self.times_seconds = np.arange(self.num_frames) / self.fps

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(self.path)
        if not capture.isOpened():
            raise DataError(f"{self.path}: OpenCV cannot open it as a video")
        return capture

    def _read_all(
        self, capture: cv2.VideoCapture, header_frames: int, keep_bytes: int
    ) -> list[int]:
        """Read to the end; return the numbers of the reads that gave a frame."""
        good: list[int] = []
        kept_bytes = 0
        number = 0
        while number < header_frames or not header_frames:
            succeeded, frame_HWC = capture.read()
            if succeeded:
                good.append(number)
                kept_bytes += frame_HWC.nbytes
                if kept_bytes > keep_bytes:
                    self._kept = None
                if self._kept is not None:
                    self._kept[len(good) - 1] = frame_HWC
            elif not header_frames:
                break
            number += 1
        return good

    def _decode(self, wanted: np.ndarray) -> np.ndarray:
        if self._kept is not None:
            frames = [self._kept[i] for i in wanted.tolist()]
        else:
            frames = self._read_again({self._good_reads[i] for i in wanted.tolist()})
        clip = np.empty((len(frames), *frames[0].shape), np.uint8)
        for frame_HWC, target_HWC in zip(frames, clip, strict=True):
            cv2.cvtColor(frame_HWC, cv2.COLOR_BGR2RGB, dst=target_HWC)
        return clip

    def _read_again(self, wanted_reads: set[int]) -> list[np.ndarray]:
        capture = self._open()
        frames = []
        try:
            for number in range(max(wanted_reads) + 1):
                grabbed = capture.grab()
                if grabbed and number in wanted_reads:
                    succeeded, frame_HWC = capture.retrieve()
                    if succeeded:
                        frames.append(frame_HWC)
        finally:
            capture.release()
        if len(frames) < len(wanted_reads):
            raise DataError(f"{self.path}: OpenCV could not read the same frames a second time")
        return frames

    def close(self) -> None:
        self._kept = {}
