"""Measure a program on videos: each from its first frame to its last, the states handed on.

What a layer sees deep in a video differs from what it sees in a first frame, whose states are
zeros: ranges that were measured on single frames are too narrow.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.export.quantization.graph_layers import Layer
from paddlevideo.export.quantization.ranges import Histogram, Range, RangeMethod
from paddlevideo.export.quantization.rounded_states import State
from paddlevideo.export.quantization.step_graphs import open_observed, run_clips
from paddlevideo.runtime.bundle import MANIFEST_NAME, Bundle
from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.progress import track
from paddlevideo.video import Pipeline

if TYPE_CHECKING:
    from onnx import ModelProto

logger = logging.getLogger(__name__)

FEW_VIDEOS = 10
_VALUES_A_FRAME = 1 << 13  # of each tensor go into the histogram; its extremes are of all


class CalibrationVideos:
    """Clips of videos, sampled as prediction samples them; unreadable videos are left out, and
    reported.

    Args:
        bundle: whose pipeline makes the clips.
        paths: of the videos.
        num_videos: how many to take, spread evenly over ``paths``.

    Attributes:
        paths: those that were taken.
        unreadable: those of them that could not be read, so far.
    """

    def __init__(self, bundle: Bundle, paths: Sequence[Path], num_videos: int) -> None:
        where = f"{bundle.folder / MANIFEST_NAME}: pipeline"
        self._pipeline = Pipeline(bundle.manifest.pipeline, where)
        self._pipeline.refuse_views("calibration takes one clip of a video")
        count = min(num_videos, len(paths))
        positions = np.linspace(0, len(paths) - 1, count).round().astype(int)
        self.paths = [paths[position] for position in positions]
        self.unreadable: set[Path] = set()

    def clips(self, count: int | None = None) -> Iterator[np.ndarray]:
        """Yield clips [T, 3, H, W], of ``count`` videos spread over all of them.

        Raises:
            DataError: none of them can be read.
        """
        count = min(count or len(self.paths), len(self.paths))
        positions = np.linspace(0, len(self.paths) - 1, count).round().astype(int)
        found = 0
        for path in (self.paths[position] for position in positions):
            try:
                clip_TCHW = self._pipeline.load_clips(str(path))[CLIP]
            except DataError as error:
                if path not in self.unreadable:
                    logger.warning("left out of the calibration: %s", error)
                self.unreadable.add(path)
                continue
            found += 1
            yield clip_TCHW
        if not found:
            raise DataError(f"none of the {count} calibration videos can be read; see above")


@dataclass(frozen=True)
class Measured:
    """Histograms of tensors, and what they were counted on."""

    histograms: dict[str, Histogram]
    num_videos: int
    num_frames: int

    def ranges(self, method: RangeMethod) -> dict[str, Range]:
        """The range of each tensor."""
        return {name: found.range(method) for name, found in self.histograms.items()}


def measure(
    bundle: Bundle,
    model: "ModelProto",
    layers: Sequence[Layer],
    videos: CalibrationVideos,
    states: Sequence[State] = (),
) -> Measured:
    """Run the float32 program through the videos and count what goes in and out of ``layers``.

    Of ``states`` it is the newest map, which is a past one later.

    Raises:
        DataError: no video can be read.
    """
    around = {name for item in layers for name in (item.input, *item.rounded)}
    tensors = sorted(around | {state.output for state in states})
    histograms = {name: Histogram() for name in tensors}

    def observe(name: str, array: np.ndarray) -> None:
        histograms[name].add(array, _VALUES_A_FRAME)

    runner = open_observed(bundle, model, tensors, observe)
    num_videos = num_frames = 0
    for clip_TCHW in track(videos.clips(), len(videos.paths), "calibration"):
        run_clips(runner, clip_TCHW[None])
        num_videos += 1
        num_frames += len(clip_TCHW)
    if num_videos < FEW_VIDEOS:
        logger.warning(
            "%d videos are few: ranges that others exceed will be cut off; %d or more of the "
            "kind that the model is to see are better",
            num_videos,
            FEW_VIDEOS,
        )
    return Measured(histograms, num_videos, num_frames)
