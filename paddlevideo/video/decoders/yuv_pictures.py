"""`YuvPicture`: a decoded frame as FFmpeg gives it, resized before its colours become RGB.

Resizing three planes, of which two are small, and turning the small result into RGB is a third of
the work of doing it the other way round.
"""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from paddlevideo.video.pictures import Picture, RgbPicture
from paddlevideo.video.scaled_crop import Box, ScaledCrop

# Planes of 8 bits: brightness and two colours, with the pixels that share a colour across and down.
_PLANAR = {
    "yuv420p": (2, 2),
    "yuvj420p": (2, 2),
    "yuv422p": (2, 1),
    "yuvj422p": (2, 1),
    "yuv444p": (1, 1),
    "yuvj444p": (1, 1),
    "gray": (1, 1),
}
_ONE_THREAD = 1  # FFmpeg's own choice, one for each core, costs more than it gains on such frames


class RgbConverter:
    """Turns decoded frames into RGB.

    One converter for all frames of a video: a new one per frame takes three times as long.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def convert(self, frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
        """Return uint8 RGB [height, width, 3], not turned."""
        # BICUBIC is what OpenCV asks for; it matters for the chroma of 10-bit video only.
        rgb = self._reformatter.reformat(
            frame, width, height, format="rgb24", interpolation="BICUBIC", threads=_ONE_THREAD
        )
        plane = rgb.planes[0]
        rows: np.ndarray = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return rows[:height, : 3 * width].reshape(height, width, 3)

    def upright(self, frame: av.VideoFrame) -> np.ndarray:
        """Return uint8 RGB [H, W, 3] of the frame's own size, turned as the file notes."""
        rgb_HWC = self.convert(frame, frame.width, frame.height)
        turns = quarter_turns(frame)
        return np.ascontiguousarray(np.rot90(rgb_HWC, turns))


def quarter_turns(frame: av.VideoFrame) -> int:
    """How often ``np.rot90`` turns the frame to stand upright."""
    return round(frame.rotation / 90) % 4


class FrameShaper:
    """Cuts pictures out of the frames of one video; keeps what FFmpeg sets up for that.

    Args:
        first: a frame of the video: all are taken in its size and rotation.
    """

    def __init__(self, first: av.VideoFrame) -> None:
        self._width, self._height = first.width, first.height
        self._format = first.format.name
        self.turns = quarter_turns(first)
        self._resizer = VideoReformatter()
        self._plane_resizers = [VideoReformatter() for _ in range(3)]
        self._unifier = VideoReformatter()
        self._rgb = RgbConverter()
        self._small: av.VideoFrame | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the video, upright."""
        size = (self._height, self._width)
        return size if self.turns % 2 == 0 else size[::-1]

    def picture(self, frame: av.VideoFrame) -> YuvPicture:
        """One of its frames."""
        return YuvPicture(self, frame)

    def cut_out(self, frame: av.VideoFrame, crop: ScaledCrop) -> np.ndarray:
        """Return what ``crop`` makes of the upright frame, not mirrored."""
        if self._format not in _PLANAR or not crop.resizes:
            rgb_HWC = self._rgb.convert(frame, self._width, self._height)
            upright_HWC = np.rot90(rgb_HWC, self.turns) if self.turns else rgb_HWC
            return RgbPicture(upright_HWC).cut_out(crop)
        if (frame.width, frame.height, frame.format.name) != (
            *(self._width, self._height),
            self._format,
        ):
            frame = self._unifier.reformat(
                frame, self._width, self._height, self._format, threads=_ONE_THREAD
            )
        if self.turns:
            crop = crop.turned_back(self.turns, *self.size)
        small = self._resized(frame, crop)
        left, top, right, bottom = crop.cut
        rgb_HWC = self._rgb.convert(small, crop.scaled[1], crop.scaled[0])[top:bottom, left:right]
        return np.rot90(rgb_HWC, self.turns) if self.turns else rgb_HWC

    def _resized(self, frame: av.VideoFrame, crop: ScaledCrop) -> av.VideoFrame:
        """The crop's source in its scaled size, in the format that the frame has."""
        height, width = crop.scaled
        is_whole = crop.source == (0, 0, frame.width, frame.height)
        if crop.antialias and is_whole:
            return self._resizer.reformat(
                frame, width, height, interpolation="BILINEAR", threads=_ONE_THREAD
            )
        small = self._small
        if small is None or (small.width, small.height) != (width, height):
            small = self._small = av.VideoFrame(width, height, self._format)
        small.colorspace, small.color_range = frame.colorspace, frame.color_range
        across, down = _PLANAR[self._format]
        for number, (plane, target) in enumerate(zip(frame.planes, small.planes, strict=True)):
            box = crop.source
            if number:  # of colours: all that have a share in the box
                box = Box(
                    box.left // across,
                    box.top // down,
                    -(-box.right // across),
                    -(-box.bottom // down),
                )
            source_HW = _pixels(plane)[box.top : box.bottom, box.left : box.right]
            self._resize_plane(number, source_HW, _pixels(target), crop.antialias)
        return small

    def _resize_plane(
        self, number: int, source_HW: np.ndarray, target_HW: np.ndarray, antialias: bool
    ) -> None:
        height, width = target_HW.shape
        if antialias:
            grey = av.VideoFrame.from_numpy_buffer(source_HW, format="gray")
            resized = self._plane_resizers[number].reformat(
                grey, width, height, interpolation="BILINEAR", threads=_ONE_THREAD
            )
            target_HW[:] = _pixels(resized.planes[0])
        else:
            target_HW[:] = cv2.resize(source_HW, (width, height))


class YuvPicture(Picture):
    """A decoded frame; see `Picture`.

    Args:
        shaper: of its video.
        frame: as decoded.
    """

    def __init__(self, shaper: FrameShaper, frame: av.VideoFrame) -> None:
        self._shaper = shaper
        self._frame = frame
        self.size = shaper.size

    def cut_out(self, crop: ScaledCrop) -> np.ndarray:
        """See `Picture`; resized by FFmpeg or OpenCV, plane by plane."""
        return self._shaper.cut_out(self._frame, crop)


def _pixels(plane: av.video.plane.VideoPlane) -> np.ndarray:
    """The plane's bytes [H, W], without copying."""
    rows: np.ndarray = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
