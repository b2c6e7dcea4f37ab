"""`VideoMix`: a cuboid of another clip, in space, in time, or in both."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from paddle import Tensor

from paddlevideo.loader.mixing.cuboid import draw_span, put_cuboid, whole
from paddlevideo.loader.mixing.mix import MIXES, Alpha, BatchMix


@MIXES.register
class VideoMix(BatchMix):
    """Put a cuboid of another clip into each (arXiv 2012.03457).

    With s one draw a batch from a beta distribution the cuboid is ``1 - s`` of the clip: along each
    of n axes ``(1 - s) ** (1 / n)`` of it, about a point that is uniform on the axis, cut off at
    its ends. The labels are weighted by the volume that it really has.

    Args:
        mode: ``spatial``, a box through all frames; ``temporal``, whole frames; ``spatiotemporal``,
            a box in a part of the frames.
        alpha: both parameters of the distribution.
    """

    def __init__(
        self,
        mode: Literal["spatial", "temporal", "spatiotemporal"] = "spatial",
        alpha: Alpha = 1.0,
    ) -> None:
        self.alpha = alpha
        self.cuts_time = mode != "spatial"
        self.cuts_space = mode != "temporal"

    def mix(
        self, clips: Mapping[str, Tensor], partner_B: Tensor, rng: np.random.Generator
    ) -> tuple[dict[str, Tensor], float]:
        """Return the clips with a cuboid of their partners'."""
        (clip_BTCHW,) = clips.values()
        _, num_frames, _, height, width = clip_BTCHW.shape
        put = 1.0 - rng.beta(self.alpha, self.alpha)
        along = put ** (1.0 / (self.cuts_time + 2 * self.cuts_space))
        time, rows, columns = (
            draw_span(along, size, rng) if cut else whole(size)
            for size, cut in (
                (num_frames, self.cuts_time),
                (height, self.cuts_space),
                (width, self.cuts_space),
            )
        )
        return put_cuboid(clips, partner_B, (time, rows, columns))
