"""Show a session the frames of a source: a recording by the moments it wants, a camera as it comes.

Of a recording the model sees the frames that a clip of the same rate would be made of, whatever
the times of the file (`FramePicker`). A live source has no next frame to wait for: the first frame
at or behind each moment is taken (`FrameClock`), and gaps are not filled.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from paddlevideo.apps.sources.frames import TimedFrame
from paddlevideo.runtime.streams.frame_picker import FramePicker
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.runtime.streams.timeline import StreamResult


@dataclass(frozen=True)
class Followed:
    """One frame of a source, and what the model said until the next came.

    Attributes:
        frame: None behind the last one.
        results: may be of the frame before, and none or several.
    """

    frame: TimedFrame | None
    results: tuple[StreamResult, ...]


def follow(
    session: StreamSession,
    frames: Iterable[TimedFrame],
    is_live: Callable[[], bool] = lambda: False,
    name: str = "the recording",
) -> Iterator[Followed]:
    """Yield every frame of a source, in order, with the results that it led to.

    Args:
        session: at the beginning of a stream.
        frames: of the source, such as `open_source` gives.
        is_live: whether the source is live; asked when the first frame has come.
        name: of the source, for messages.
    """
    picker: FramePicker[_Seen] | None = None
    for number, given in enumerate(frames):
        if number == 0 and not is_live():
            picker = FramePicker(session.frame_rate, name)
        if picker is None:
            result = session.push(given.rgb, given.time_seconds, given.arrived)
            yield Followed(given, () if result is None else (result,))
            continue
        frame = replace(given, rgb=once(given.rgb))
        # Until it is seen it counts as left out.
        session.counts.frames += 1
        session.counts.skipped += 1
        chosen = picker.offer(frame.time_seconds, _Seen(frame))
        yield Followed(frame, tuple(_see(session, *item) for item in chosen))
    if picker is not None and (chosen := picker.end()):
        yield Followed(None, tuple(_see(session, *item) for item in chosen))


@dataclass
class _Seen:
    """A frame of a recording, and whether the model has seen it."""

    frame: TimedFrame
    was_seen: bool = False


def _see(session: StreamSession, moment: float, held: _Seen) -> StreamResult:
    """Show the frame for a moment; the result carries the frame's own time."""
    result = session.push(held.frame.rgb, moment)
    if result is None:
        raise RuntimeError(f"the moment {moment} is none of {session.frame_rate} frames/s")
    session.counts.frames -= 1  # it was counted when it came
    if not held.was_seen:
        held.was_seen = True
        session.counts.skipped -= 1
    return replace(result, time_seconds=held.frame.time_seconds)


def once(give: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    """``give``, but called a single time: all who want the frame share it."""
    held: list[np.ndarray] = []

    def shared() -> np.ndarray:
        if not held:
            held.append(give())
        return held[0]

    return shared
