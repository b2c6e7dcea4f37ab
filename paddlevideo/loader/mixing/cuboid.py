"""A part of one clip put into another at the same place."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from paddle import Tensor


class Span(NamedTuple):
    """Positions ``start`` up to, not including, ``stop`` along one axis."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many there are."""
        return self.stop - self.start


def draw_span(share: float, size: int, rng: np.random.Generator) -> Span:
    """A span of ``share`` of an axis about a point that is uniform on it, cut off at its ends.

    As CutMix draws a side of its box (arXiv 1905.04899, appendix A).
    """
    center, half = rng.uniform(0, size), share * size / 2.0
    start, stop = np.rint(np.clip([center - half, center + half], 0, size)).astype(int)
    return Span(int(start), int(stop))


def whole(size: int) -> Span:
    """All of an axis."""
    return Span(0, size)


def put_cuboid(
    clips: Mapping[str, Tensor], partner_B: Tensor, spans: tuple[Span, Span, Span]
) -> tuple[dict[str, Tensor], float]:
    """Return the one clip with the frames, rows and columns ``spans`` of its partner's.

    And the share of it that is its own, counted in pixels.
    """
    ((name, clip_BTCHW),) = clips.items()
    (t0, t1), (y0, y1), (x0, x1) = spans
    _, num_frames, _, height, width = clip_BTCHW.shape
    put = np.prod([span.length for span in spans])
    mixed = clip_BTCHW.clone()
    if put:
        part = clip_BTCHW[:, t0:t1, :, y0:y1, x0:x1].gather(partner_B, axis=0)
        mixed[:, t0:t1, :, y0:y1, x0:x1] = part
    return {name: mixed}, float(1.0 - put / (num_frames * height * width))
