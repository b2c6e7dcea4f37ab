"""What can be chosen for a stream, and what is counted of it."""

import math
from dataclasses import dataclass, field

import numpy as np

from paddlevideo.runtime.streams.scene_cut import DEFAULT_THRESHOLD
from paddlevideo.utils.errors import ConfigError

_KEPT_LATENCIES = 10_000


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is read and answered.

    Attributes:
        top_k: classes in a result.
        window_seconds: the states start anew every so many seconds; None: never. For endless
            video of a model that was trained on clips of that length.
        reset_on_cut: the states start anew where the scene changes (`SceneCut`).
        cut_threshold: of `SceneCut`.
        smooth_seconds: time constant of the smoothing of the probabilities; None: none.
    """

    top_k: int = 5
    window_seconds: float | None = None
    reset_on_cut: bool = False
    cut_threshold: float = DEFAULT_THRESHOLD
    smooth_seconds: float | None = None

    def __post_init__(self) -> None:
        check_whole("top_k", self.top_k)
        if not isinstance(self.reset_on_cut, (bool, np.bool_)):
            raise ConfigError(
                f"reset_on_cut is {_shown(self.reset_on_cut)}, expected True or False"
            )
        for name, value in (
            ("window_seconds", self.window_seconds),
            ("smooth", self.smooth_seconds),
        ):
            if value is not None and not _is_number(value):
                raise ConfigError(f"{name} is {_shown(value)}, expected seconds or None")
        window, smooth = self.window_seconds, self.smooth_seconds
        if window is not None and not (math.isfinite(window) and window > 0):
            raise ConfigError(f"a window of {window} seconds is not above 0")
        if smooth is not None and not (math.isfinite(smooth) and smooth >= 0):
            raise ConfigError(f"smooth is {smooth} seconds, expected 0 or more")
        cut = self.cut_threshold
        if not (_is_number(cut) and 0 < cut < 1):
            raise ConfigError(f"cut_threshold is {_shown(cut)}, expected between 0 and 1")


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Raise `ConfigError` unless ``value`` is a whole number of at least ``least``."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        raise ConfigError(f"{name} is {_shown(value)}, expected a whole number of at least {least}")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _shown(value: object) -> str:
    return repr(value)[:100]


@dataclass
class StreamCounts:
    """What happened to the frames of a stream.

    Attributes:
        frames: frames given.
        steps: frames the model has seen.
        skipped: frames left out to keep the model's frame rate.
        dropped: frames that were due but too old by the time there was room for them.
        resets: how often the states have started anew by window, cut or a new start of the times.
    """

    frames: int = 0
    steps: int = 0
    skipped: int = 0
    dropped: int = 0
    resets: int = 0
    _num_latencies: int = 0
    # All of it at once: a list would grow for the first half hour of a stream.
    _latencies_ms: np.ndarray = field(
        default_factory=lambda: np.full(_KEPT_LATENCIES, np.nan), compare=False, repr=False
    )

    def add_latency(self, latency_ms: float) -> None:
        """Note the latency of one step; the newest 10,000 are kept."""
        self.steps += 1
        self._latencies_ms[self._num_latencies % _KEPT_LATENCIES] = latency_ms
        self._num_latencies += 1

    @property
    def _kept_ms(self) -> np.ndarray:
        return self._latencies_ms[: self._num_latencies]

    @property
    def mean_latency_ms(self) -> float | None:
        """Mean latency; None before the first step."""
        return float(np.mean(self._kept_ms)) if self._num_latencies else None

    @property
    def p95_latency_ms(self) -> float | None:
        """The latency that 95 % of the steps keep; None before the first step."""
        return float(np.percentile(self._kept_ms, 95)) if self._num_latencies else None

    def as_dict(self) -> dict[str, object]:
        """Plain values."""
        return {
            "frames": self.frames,
            "steps": self.steps,
            "skipped": self.skipped,
            "dropped": self.dropped,
            "resets": self.resets,
            "mean_latency_ms": self.mean_latency_ms,
            "p95_latency_ms": self.p95_latency_ms,
        }
