"""What the videos themselves say about how to train on them."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from paddlevideo.utils.errors import ArgumentError

# A clip should cover this share of the median video, if the model's own rate lets it.
_COVERED_SHARE = 0.8
_LEAST_FRAMES = 8
_LARGEST_RATE_FACTOR = 2.5
_UNBALANCED = 3.0


@dataclass(frozen=True)
class ClipChoice:
    """How clips are sampled in training, and at which rate the stream then runs.

    Attributes:
        frame_rate: frames per second.
        num_frames: of a clip.
        reason: why, in plain English.
    """

    frame_rate: float
    num_frames: int
    reason: str

    @property
    def seconds(self) -> float:
        """What a clip covers."""
        return self.num_frames / self.frame_rate


def choose_clip(
    durations: Sequence[float],
    native_rate: float,
    native_frames: int,
    video_rates: Sequence[float] = (),
) -> ClipChoice:
    """Choose frame rate and number of frames of a clip.

    The model's own are kept where the median video is at least as long as such a clip. For shorter
    videos the rate is raised first, by at most 2.5 and not above what the median video has, so that
    a clip covers about the median video; then frames are left out, down to 8.

    Args:
        durations: of the videos, seconds; those of 0 (single frames) do not count.
        native_rate: frames per second that the model was made for.
        native_frames: frames of a clip that the model was made for.
        video_rates: frames per second of the videos, where known.

    Raises:
        ArgumentError: a native number is not above 0.
    """
    if not (native_rate > 0 and math.isfinite(native_rate)) or native_frames < 1:
        raise ArgumentError(f"{native_frames} frames at {native_rate} frames/s are no clip")
    known = [seconds for seconds in durations if seconds > 0 and math.isfinite(seconds)]
    own = ClipChoice(native_rate, native_frames, "the model's own frame rate and length")
    if not known:
        return own
    median = float(np.median(known))
    if median >= _COVERED_SHARE * own.seconds:
        return own
    rates = [rate for rate in video_rates if rate > 0 and math.isfinite(rate)]
    most = native_rate * _LARGEST_RATE_FACTOR
    if rates:
        most = max(native_rate, min(most, float(np.median(rates))))
    rate = float(round(min(most, max(native_rate, native_frames / median))))
    rate = min(max(rate, native_rate), most)
    frames = min(native_frames, max(_LEAST_FRAMES, round(rate * median)))
    return ClipChoice(
        rate,
        frames,
        f"the median video lasts {median:.1f} s, and the model's own clip "
        f"{own.seconds:.1f} s: {frames} frames at {rate:g} frames/s cover it",
    )


_SIDES = {
    *("left", "right", "leftward", "rightward", "leftwards", "rightwards", "lefthand", "righthand"),
    *("clockwise", "counterclockwise", "anticlockwise", "cw", "ccw", "mirrored", "reversed"),
    *("west", "east", "port", "starboard", "links", "rechts", "gauche", "droite", "izquierda"),
    *("derecha", "sinistra", "destra", "esquerda", "direita", "左", "右"),
}
_WRITING = {
    *("letter", "letters", "digit", "digits", "number", "numbers", "alphabet", "write", "writing"),
    *("sign", "signs", "signing", "asl", "bsl", "fingerspelling", "spelling", "text", "reading"),
    *("draw", "drawing", "symbol", "symbols"),
}
_LONE_SIDES = {"l", "r"}


def flip_is_safe(class_names: Sequence[str]) -> bool:
    """Whether a mirrored video is still of its class, as far as the names tell.

    False where names hold left or right (in some languages), a sense of rotation, writing or signs,
    where most names are single letters or numbers, or where two names differ only in ``l`` and
    ``r``.
    """
    words = [_words(name) for name in class_names]
    if any(set(name) & (_SIDES | _WRITING) for name in words):
        return False
    if any(mark in name for name in class_names for mark in "左右←→↶↷↺↻"):
        return False
    without_side = [tuple(word for word in name if word not in _LONE_SIDES) for name in words]
    has_side = [bool(set(name) & _LONE_SIDES) for name in words]
    pairs = [name for name, side in zip(without_side, has_side, strict=True) if side]
    if len(pairs) > len(set(pairs)):
        return False
    short = sum(len(name) == 1 and (len(name[0]) == 1 or name[0].isdecimal()) for name in words)
    return short * 2 <= len(words)


def _words(name: str) -> list[str]:
    """Lower-case words of a name: ``TurnLeft``, ``turn_left`` and ``turn-left2`` alike."""
    plain = unicodedata.normalize("NFKC", name)
    split = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d])(?=\d)|(?<=\d)(?=[^\W\d])", " ", plain)
    return re.findall(r"[^\W_]+", split.lower())


def needs_balancing(counts: Mapping[str, int]) -> bool:
    """Whether the largest class has more than 3 times the videos of the smallest; 0 counts not."""
    there = [count for count in counts.values() if count > 0]
    return len(there) > 1 and max(there) > _UNBALANCED * min(there)


def class_weights(counts: Mapping[str, int]) -> dict[str, float]:
    """Return how often a video of each class is drawn, relative to the mean video.

    Where `needs_balancing`, classes are drawn equally often; else videos are, all at 1. The mean
    over all videos is 1. A class without videos has weight 0.
    """
    there = {name: count for name, count in counts.items() if count > 0}
    if not needs_balancing(counts):
        return {name: float(count > 0) for name, count in counts.items()}
    each = sum(there.values()) / len(there)
    return {name: each / count if count > 0 else 0.0 for name, count in counts.items()}
