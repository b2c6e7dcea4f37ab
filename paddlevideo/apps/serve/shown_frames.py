"""`ShownFrames`: which frames of a connection the model is shown, and at which moments."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paddlevideo.apps.serve.refusals import MALFORMED, RefusedError
from paddlevideo.runtime.streams.frame_picker import FramePicker
from paddlevideo.video.decoders.times import FrameTimes

_LATEST_SECONDS = 1e12  # microseconds are still told apart


@dataclass
class HeldFrame:
    """A frame of a connection.

    Attributes:
        rgb: gives the picture, uint8 RGB [H, W, 3]; it is decoded once, and only if it is wanted.
        time_seconds: as its client stated it, or as it was counted; None: neither.
        was_seen: by the model.
    """

    rgb: Callable[[], np.ndarray]
    time_seconds: float | None
    was_seen: bool = False


Moment = tuple[float | None, HeldFrame]
"""When the model is shown a frame, and which."""


class ShownFrames:
    """Frames are chosen by their times, as ``paddlevideo stream`` does (docs/streaming.md).

    Of a live source each frame is offered at its time, and the stream's clock takes the first one
    at or after each moment of the model. Of a recording the frame nearest to each moment is taken,
    for which the next one is waited for. Frames without times are all taken.

    Args:
        model_rate: frames a second that the model sees.
        is_recording: see above.
        frame_rate: of frames without times; None: they come at the model's rate.
    """

    def __init__(self, model_rate: float, is_recording: bool, frame_rate: float | None) -> None:
        self._model_rate = model_rate
        self._is_recording = is_recording
        self._frame_rate = frame_rate
        self.reset()

    def reset(self) -> None:
        """The next frame is the first of another stream."""
        self._count = 0
        self._has_times = self._frame_rate is not None
        self._times = FrameTimes("a stream", self._frame_rate)
        self._picker: FramePicker[HeldFrame] = FramePicker(self._model_rate, "a stream")

    def offer(self, rgb: Callable[[], np.ndarray], stated_seconds: float | None) -> list[Moment]:
        """Take one more frame; the moments that are decided now.

        Raises:
            RefusedError: its time cannot be, or only some frames have one.
        """
        frame = HeldFrame(rgb, self._time_of(stated_seconds))
        self._count += 1
        if not self._is_recording or frame.time_seconds is None:
            return [(frame.time_seconds, frame)]
        return list(self._picker.offer(self._times.at(frame.time_seconds, None), frame))

    def end(self) -> list[Moment]:
        """The moments that the last frame of a recording stands for."""
        return list(self._picker.end())

    def _time_of(self, stated: float | None) -> float | None:
        if self._frame_rate is not None:
            if stated is not None:
                raise RefusedError(
                    MALFORMED, "a frame has a time, but frame_rate is stated; leave out one of them"
                )
            return self._count / self._frame_rate
        if self._count == 0:
            self._has_times = stated is not None
        if self._has_times != (stated is not None):
            which = "some have one" if stated is None else "those before it had none"
            raise RefusedError(
                MALFORMED,
                f"frame {self._count} has {'no' if stated is None else 'a'} time, and {which}; "
                "state all times of a stream, or none",
            )
        if stated is not None and not abs(stated) <= _LATEST_SECONDS:
            raise RefusedError(MALFORMED, f"a frame's time is {stated:g}, expected seconds")
        if stated is None and self._is_recording:
            raise RefusedError(
                MALFORMED, 'frames of a recording need times ("time 0.2"), or a frame_rate'
            )
        return stated


def parse_seconds(text: str) -> float:
    """A number of seconds.

    Raises:
        RefusedError: it is none.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise RefusedError(MALFORMED, f'the time "{text[:50]}" is no number of seconds')
    return seconds
