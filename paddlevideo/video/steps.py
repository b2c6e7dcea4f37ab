"""What the steps of a pipeline are: frame samplers and transforms, and their registries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from paddlevideo.utils.errors import ArgumentError
from paddlevideo.utils.registry import Registry
from paddlevideo.video.decoders.base import Kind
from paddlevideo.video.scaled_crop import ScaledCrop

Size = tuple[int | None, int | None]


class FrameSampler(ABC):
    """Chooses which frames of a video become the clip.

    Attributes:
        num_frames: T, the frames of a clip, always the same number.
        num_clips: how many clips it makes of a video, placed over its length; always the same
            number. More than one is for testing.
    """

    num_frames: int
    num_clips: int = 1

    @property
    def frame_rate(self) -> float | None:
        """Frames per second of the clip that the model sees, the same for every video.

        None where there is no such number: the rate follows from the length or the frame rate of
        each file. A stream is given to the model at this rate.
        """
        return None

    @property
    def trained_rates(self) -> tuple[float, float] | None:
        """The lowest and highest frame rate that training draws; None as for `frame_rate`."""
        rate = self.frame_rate
        return None if rate is None else (rate, rate)

    @abstractmethod
    def indices(
        self,
        num_frames: int,
        rng: np.random.Generator,
        training: bool,
        kind: Kind,
        times_seconds: np.ndarray | None,
    ) -> np.ndarray:
        """Return 0-based frame numbers, int64 [num_clips * T], clip after clip.

        Each is in 0 .. num_frames - 1.

        Args:
            num_frames: frames of the source, at least 1.
            rng: the sample's generator.
            training: whether the pipeline is a training pipeline.
            kind: ``video`` or ``frames`` (a folder of images).
            times_seconds: presentation time of each frame of the source, float64 [num_frames],
                never decreasing; None where frames have no times (a folder of images).

        Raises:
            DataError: no frames can be chosen of such a source.
        """


class Transform(ABC):
    """One step on a whole clip: an array in, an array out, one random draw for all frames.

    Attributes:
        layout_in: axes of the clip it takes.
        layout_out: axes of the clip it gives.
        dtype_out: dtype of the clip it gives; None where it leaves the dtype as it is.
        scales_values: whether it does what is otherwise left to the model.
        num_crops: how many clips it makes of one. More than one is for testing: they then lie along
            a new first axis of what it returns.
        only_layout: whether it changes nothing but the order of the axes.
        draws: whether it may draw from the generator that it is given; a subclass of a step that
            does not, and which does, says so again.
    """

    layout_in: str = "THWC"
    layout_out: str = "THWC"
    dtype_out: ClassVar[str | None] = None
    scales_values: ClassVar[bool] = False
    num_crops: int = 1
    only_layout: ClassVar[bool] = False
    draws: ClassVar[bool] = True

    @abstractmethod
    def __call__(self, clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the transformed clip; may be a view, never changes its argument.

        Raises:
            DataError: the clip does not fit, for instance is smaller than a crop.
        """

    def scaled_crop(self, before: ScaledCrop, rng: np.random.Generator) -> ScaledCrop | None:
        """Return ``before`` and then this step as one, if it only cuts, resizes and mirrors.

        None if it does something else: then it is called, with a clip. It draws from ``rng`` just
        what it draws when it is called, and nothing where it returns None.

        Raises:
            DataError: the frames do not fit, for instance are smaller than a crop.
        """
        return None

    def output_size(self, size: Size) -> Size:
        """Return (height, width) behind this step, None where it depends on the video."""
        return size


SAMPLERS: Registry[FrameSampler] = Registry("sampler", FrameSampler)
TRANSFORMS: Registry[Transform] = Registry("transform", Transform)


def check_positive(**values: int) -> None:
    """Raise `ArgumentError` naming the first argument that is not at least 1."""
    for name, value in values.items():
        if value < 1:
            raise ArgumentError(f"{name} must be at least 1, got {value}")
