"""Ticks of a time axis, and labels that do not cover each other."""

import math
from collections.abc import Sequence

_CLOCK_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_LONGEST_IN_SECONDS = 600.0


def time_ticks(duration: float, most: int) -> tuple[list[tuple[float, str]], str]:
    """Where an axis of ``duration`` seconds has ticks, what stands there, and its title.

    Up to ten minutes the axis counts seconds; a longer one reads as a clock.

    Args:
        most: ticks at most.
    """
    if duration <= _LONGEST_IN_SECONDS:
        step = _round_step(duration / most)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        ticks = [n * step for n in range(math.floor(duration / step + 1e-6) + 1)]
        return [(tick, f"{tick:.{digits}f}") for tick in ticks], "seconds"
    step = next((s for s in _CLOCK_STEPS if s * most >= duration), _CLOCK_STEPS[-1])
    while step * most < duration:
        step *= 2
    ticks = [float(tick) for tick in range(0, math.floor(duration) + 1, step)]
    with_hours = duration >= 3600
    return [(tick, clock(tick, with_hours)) for tick in ticks], (
        "hours:minutes:seconds" if with_hours else "minutes:seconds"
    )


def clock(seconds: float, with_hours: bool) -> str:
    """``1:02:03``, or ``62:03``."""
    minutes, rest = divmod(round(seconds), 60)
    if not with_hours:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _round_step(least: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= least * (1 - 1e-9))


def spread(wanted: Sequence[float], gap: float, least: float, most: float) -> list[float]:
    """Positions as near to ``wanted`` as a ``gap`` between each two and the bounds allow.

    The order is kept. Where the bounds have no room for all, the gap gives way.
    """
    if not wanted:
        return []
    gap = min(gap, (most - least) / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda n: (wanted[n], n))
    placed = [min(max(wanted[n], least), most) for n in order]
    for n in range(1, len(placed)):
        placed[n] = max(placed[n], placed[n - 1] + gap)
    placed[-1] = min(placed[-1], most)
    for n in range(len(placed) - 2, -1, -1):
        placed[n] = min(placed[n], placed[n + 1] - gap)
    result = [0.0] * len(wanted)
    for place, n in zip(placed, order, strict=True):
        result[n] = place
    return result
