"""`YuvPicture`: a decoded frame as FFmpeg gives it, resized before its colours become RGB.

Resizing three planes, of which two are small, and turning the small result into RGB is a third of
the work of doing it the other way round.
"""

from __future__ import annotations

import threading

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
_LINEAR_REDUCTION = 2.0


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


class _Tools(threading.local):
    """What FFmpeg sets up for a size, which takes as long as ten frames: kept from video to video.

    Each thread has its own; nothing in them changes a result.
    """

    def __init__(self) -> None:
        self.whole = VideoReformatter()
        self.planes = [VideoReformatter() for _ in range(3)]
        self.unifier = VideoReformatter()
        self.rgb = RgbConverter()


_TOOLS = _Tools()


class FrameShaper:
    """Cuts pictures out of the frames of one video.

    Args:
        first: a frame of the video: all are taken in its size and rotation.
    """

    def __init__(self, first: av.VideoFrame) -> None:
        self._width, self._height = first.width, first.height
        self._format = first.format.name
        self.turns = quarter_turns(first)
        self._tools = _TOOLS
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
            rgb_HWC = self._tools.rgb.convert(frame, self._width, self._height)
            upright_HWC = np.rot90(rgb_HWC, self.turns) if self.turns else rgb_HWC
            return RgbPicture(upright_HWC).cut_out(crop)
        if (frame.width, frame.height, frame.format.name) != (
            *(self._width, self._height),
            self._format,
        ):
            frame = self._tools.unifier.reformat(
                frame, self._width, self._height, self._format, threads=_ONE_THREAD
            )
        if self.turns:
            crop = crop.turned_back(self.turns, *self.size)
        small, left, top = self._resized(frame, crop)
        rgb_HWC = self._tools.rgb.convert(small, small.width, small.height)
        cut_HWC = rgb_HWC[top : top + crop.cut.height, left : left + crop.cut.width]
        return np.rot90(cut_HWC, self.turns) if self.turns else cut_HWC

    def _resized(self, frame: av.VideoFrame, crop: ScaledCrop) -> tuple[av.VideoFrame, int, int]:
        """What is cut out in the end, still in the frame's format; and where it begins in that."""
        if crop.antialias and crop.source == (0, 0, frame.width, frame.height):
            height, width = crop.scaled
            small = self._tools.whole.reformat(
                frame, width, height, interpolation="BILINEAR", threads=_ONE_THREAD
            )
            return small, crop.cut.left, crop.cut.top
        across, down = _PLANAR[self._format]
        # From a pixel on that begins a shared colour.
        left, top = crop.cut.left // across * across, crop.cut.top // down * down
        width = -(-(crop.cut.right - left) // across) * across
        height = -(-(crop.cut.bottom - top) // down) * down
        kept = self._small
        if kept is None or (kept.width, kept.height) != (width, height):
            kept = self._small = av.VideoFrame(width, height, self._format)
        kept.colorspace, kept.color_range = frame.colorspace, frame.color_range
        for number, (plane, target) in enumerate(zip(frame.planes, kept.planes, strict=True)):
            share = (across, down) if number else (1, 1)
            source = _shared(crop.source, *share)
            source_HW = _pixels(plane)[source.top : source.bottom, source.left : source.right]
            scaled = (-(-crop.scaled[0] // share[1]), -(-crop.scaled[1] // share[0]))
            scaled_HW = self._resize_plane(number, source_HW, scaled, crop.antialias)
            cut = _shared(Box(left, top, crop.cut.right, crop.cut.bottom), *share)
            _pixels(target)[: cut.height, : cut.width] = scaled_HW[
                cut.top : cut.bottom, cut.left : cut.right
            ]
        return kept, crop.cut.left - left, crop.cut.top - top

    def _resize_plane(
        self, number: int, source_HW: np.ndarray, size: tuple[int, int], antialias: bool
    ) -> np.ndarray:
        height, width = size
        reduction = max(source_HW.shape[0] / height, source_HW.shape[1] / width)
        # Colours have half the detail: up to this there is nothing to average.
        if not antialias or (number and reduction <= _LINEAR_REDUCTION):
            return cv2.resize(source_HW, (width, height))
        grey = av.VideoFrame.from_numpy_buffer(source_HW, format="gray")
        resized = self._tools.planes[number].reformat(
            grey, width, height, interpolation="BILINEAR", threads=_ONE_THREAD
        )
        # FFmpeg gives back what it need not change.
        return source_HW if resized is grey else _pixels(resized.planes[0])


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


def _shared(box: Box, across: int, down: int) -> Box:
    """All colours that have a share in the box, of those that so many pixels share."""
    return Box(box.left // across, box.top // down, -(-box.right // across), -(-box.bottom // down))
