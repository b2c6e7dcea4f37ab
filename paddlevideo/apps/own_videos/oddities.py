"""What is unusual about a file that can be read: often harmless, now and then the reason of a loss.

Nothing here makes a file unusable. `Watch` is told every decoded frame and sums up at the end.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import av
import numpy as np

# A gap between two frames that differs from the median one by more than this is another rate.
_SHARE_OF_GAP = 0.25
_ROUNDING_SECONDS = 0.002  # containers that count milliseconds
_SHARE_OF_RATE = 0.1
_FEW_FRAMES = 16
_SMALL_PIXELS = 32
# What a name promises -> how FFmpeg calls it.
_CONTAINERS = {
    **dict.fromkeys(("mp4", "m4v", "mov", "qt", "3gp", "3g2", "f4v"), "mov"),
    **dict.fromkeys(("mkv", "webm"), "matroska"),
    **dict.fromkeys(("avi", "divx"), "avi"),
    "gif": "gif",
    "flv": "flv",
}


class OddKind(Enum):
    """The value is a phrase behind a number of videos."""

    ROTATED = "stored turned, with a note to turn them"
    VARIABLE_RATE = "of a variable frame rate"
    OTHER_RATE = "with another frame rate than the header says"
    INTERLACED = "interlaced"
    ALPHA = "with an alpha channel"
    DEPTH = "of more than 8 bits"
    STREAMS = "with several video streams"
    OBLONG_PIXELS = "with pixels that are not square"
    SIZES = "whose pictures change size"
    BACKWARD = "whose times step back"
    COUNT = "with another number of frames than the header says"
    NO_COUNT = "without a number of frames in the header"
    REORDERED = "whose frames are stored in another order than shown (B-frames)"
    CONTAINER = "of another format than the name says"
    FEW_FRAMES = f"of fewer than {_FEW_FRAMES} frames"
    SMALL = f"smaller than {_SMALL_PIXELS} pixels"
    PORTRAIT = "higher than wide"


@dataclass(frozen=True)
class Oddity:
    """One thing about one file; ``text`` says how much of it."""

    kind: OddKind
    text: str


class Watch:
    """Looks at the frames of one file while they are decoded.

    Args:
        container: open, before its first packet.
        stream: of the frames.
        path: the file.
    """

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, path: Path
    ) -> None:
        self._stream = stream
        self._suffix = path.suffix.lower().lstrip(".")
        self._num_streams = len(container.streams.video)
        self.container = container.format.name.split(",")[0]
        self.codec = stream.codec_context.name
        self.pixel_format = ""
        self._has_alpha = False
        self._bits = 8
        self._turn = 0
        self._sizes: set[tuple[int, int]] = set()
        self._interlaced = self._backward = self._reordered = self._count = 0
        self._last_pts: int | None = None

    def add(self, frame: av.VideoFrame) -> None:
        """Look at a frame."""
        if self._count == 0:
            self.pixel_format = frame.format.name
            self._has_alpha = any(each.is_alpha for each in frame.format.components)
            self._bits = max(each.bits for each in frame.format.components)
            self._turn = round(frame.rotation) % 360
        self._count += 1
        self._sizes.add((frame.width, frame.height))
        self._interlaced += bool(frame.interlaced_frame)
        self._reordered += frame.pict_type == av.video.frame.PictureType.B
        if frame.pts is not None:
            self._backward += self._last_pts is not None and frame.pts < self._last_pts
            self._last_pts = frame.pts

    def found(self, times_seconds_T: np.ndarray, frames_lost: int) -> tuple[Oddity, ...]:
        """What is odd.

        Args:
            times_seconds_T: of all frames.
            frames_lost: frames that are damaged; they leave gaps, which are no rate.
        """
        about = [
            *self._of_the_pictures(),
            *(() if frames_lost else self._of_the_times(times_seconds_T)),
            *self._of_the_file(frames_lost),
        ]
        return tuple(Oddity(kind, text) for kind, text in about)

    def _of_the_pictures(self) -> list[tuple[OddKind, str]]:
        found = []
        stream, count = self._stream, self._count
        if self._turn:
            found.append((OddKind.ROTATED, f"by {self._turn} degrees"))
        if self._interlaced:
            found.append((OddKind.INTERLACED, f"{self._interlaced} of {count} frames"))
        if self._has_alpha or _says_alpha(stream):
            found.append((OddKind.ALPHA, f"{self.codec}, {self.pixel_format}"))
        if self._bits > 8:
            found.append((OddKind.DEPTH, f"{self._bits} bits, {self.pixel_format}"))
        shape = stream.sample_aspect_ratio
        if shape and shape != 1:
            found.append((OddKind.OBLONG_PIXELS, f"{shape.numerator}:{shape.denominator}"))
        if len(self._sizes) > 1:
            sizes = ", ".join(f"{width}x{height}" for width, height in sorted(self._sizes)[:4])
            found.append((OddKind.SIZES, sizes))
        width, height = next(iter(self._sizes), (0, 0))
        if self._turn % 180:
            width, height = height, width
        if min(width, height) < _SMALL_PIXELS:
            found.append((OddKind.SMALL, f"{width}x{height}"))
        if height > width:
            found.append((OddKind.PORTRAIT, f"{width}x{height}"))
        return found

    def _of_the_times(self, times_seconds_T: np.ndarray) -> list[tuple[OddKind, str]]:
        found = []
        if self._backward:
            found.append((OddKind.BACKWARD, f"{self._backward} times"))
        gaps = np.diff(times_seconds_T)
        if len(gaps) < 2 or self._backward:
            return found
        usual = float(np.median(gaps))
        num_other = int((abs(gaps - usual) > _SHARE_OF_GAP * usual + _ROUNDING_SECONDS).sum())
        if num_other:
            text = f"{num_other} of {len(gaps)} gaps are not {usual:.3f} s; {gaps.min():.3f} to "
            found.append((OddKind.VARIABLE_RATE, f"{text}{gaps.max():.3f} s"))
        stated, mean = self._stream.average_rate, float(gaps.mean())
        if stated and mean > 0 and abs(float(stated) * mean - 1) > _SHARE_OF_RATE:
            found.append((OddKind.OTHER_RATE, f"{float(stated):.2f} stated, {1 / mean:.2f} found"))
        return found

    def _of_the_file(self, frames_lost: int) -> list[tuple[OddKind, str]]:
        found = []
        if self._num_streams > 1:
            found.append((OddKind.STREAMS, f"{self._num_streams}; the first one is read"))
        stated = self._stream.frames
        if not stated:
            found.append((OddKind.NO_COUNT, self.container))
        elif stated != self._count + frames_lost:
            found.append((OddKind.COUNT, f"{stated} stated, {self._count} found"))
        if self._reordered:
            found.append((OddKind.REORDERED, f"{self._reordered} of {self._count} frames"))
        if _CONTAINERS.get(self._suffix, self.container) != self.container:
            found.append((OddKind.CONTAINER, f".{self._suffix}, but {self.container}"))
        if self._count < _FEW_FRAMES:
            found.append((OddKind.FEW_FRAMES, f"{self._count} frames"))
        return found


def _says_alpha(stream: av.VideoStream) -> bool:
    """Matroska notes an alpha channel beside the stream; FFmpeg's own VP9 decoder drops it."""
    return any(k.lower() == "alpha_mode" and v == "1" for k, v in stream.metadata.items())
