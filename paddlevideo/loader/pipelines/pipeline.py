"""The pipeline: decode, sample, transform, from one description, for every use of a clip."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from paddlevideo.loader.decoders.base import DECODERS
from paddlevideo.loader.pipelines.base import SAMPLERS, TRANSFORMS, Size, Transform
from paddlevideo.loader.pipelines.description import (
    check_keys,
    for_video_files,
    plain_copy,
    transform_nodes,
)
from paddlevideo.loader.sample import Sample
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.utils.randomness import Stream, generator


class Pipeline:
    """Turns a sample's path into a clip.

    Training, test, export, prediction and streaming all build this from the same description.

    Args:
        description: ``{decode: ..., sample: ..., transform: [...]}``, see `description`.
        where: YAML path of the description, for messages.
        training: whether the steps draw at random.

    Attributes:
        description: the description as a plain dict, to be stored with an exported model.
        num_frames: frames of a clip (T).
        output_layout: axes of a clip: ``TCHW``, ``CTHW`` or ``THWC``.
        output_dtype: ``uint8``, or ``float32`` when a Normalization step is listed.
        output_size: (height, width) of a clip; None where it depends on the video.

    Raises:
        ConfigError: an unknown key, component or argument, a wrong value, or steps in an order
            that cannot work; the message names the YAML path.
    """

    def __init__(
        self, description: Mapping[str, Any], where: str = "PIPELINE", training: bool = False
    ) -> None:
        check_keys(description, where)
        self.description = plain_copy(description)
        self.training = training
        self.decoder = DECODERS.build(description["decode"], f"{where}.decode")
        self.sampler = SAMPLERS.build(description["sample"], f"{where}.sample")
        self.transforms: list[Transform] = []
        self.num_frames = self.sampler.num_frames
        self.output_layout = "THWC"
        self.output_dtype = "uint8"
        self.output_size: Size = (None, None)
        for node, at in transform_nodes(description, where):
            self._append(node, at)

    def _append(self, node: dict[str, Any], where: str) -> None:
        TRANSFORMS.get(node["name"], where)  # here: the path without a doubled name
        step = TRANSFORMS.build(node, where)
        if step.layout_in != self.output_layout:
            raise ConfigError(
                f"{where}: takes a {step.layout_in} clip, but at this place in the list it is "
                f"{self.output_layout}; mind the order: pictures, then Image2Array, then "
                "Normalization"
            )
        if self.output_dtype != "uint8":
            raise ConfigError(f"{where}: Normalization must be the last step")
        self.transforms.append(step)
        self.output_layout = step.layout_out
        self.output_dtype = step.dtype_out or self.output_dtype
        self.output_size = step.output_size(self.output_size)

    @staticmethod
    def check(description: Mapping[str, Any], where: str = "PIPELINE") -> None:
        """Check names, arguments and the order of the steps; no file is touched.

        Raises:
            ConfigError: naming the YAML path, such as ``PIPELINE.train.transform[0].Scale``.
        """
        Pipeline(description, where)

    # Where people look for it.
    for_video_files = staticmethod(for_video_files)

    def __call__(self, sample: Sample) -> Sample:
        """Decode, sample and transform; set clip, layout, frame_indices and num_frames.

        Raises:
            DataError: the sample cannot be read or does not fit a step; names the file.
        """
        with self.decoder.open(sample) as frames:
            sample.frames = frames
            sample.num_frames = frames.num_frames
            sample.frame_indices = self.sampler.indices(
                frames.num_frames, sample.rng, sample.training, frames.kind
            )
            clip_THWC = frames.read(sample.frame_indices)
        sample.frames = None
        try:
            sample.clip = self.transform_clip(clip_THWC, sample.rng)
        except DataError as error:
            raise DataError(f"{sample.path}: {error}") from None
        sample.layout = self.output_layout
        return sample

    def transform_clip(
        self, clip_THWC: np.ndarray, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Apply the transforms alone, to frames that are already here (a camera's, for instance).

        Args:
            clip_THWC: uint8 RGB [T, H, W, 3], any T.
            rng: for random steps; without it they draw as for sample 0 of seed 0.
        """
        rng = rng if rng is not None else generator(0, Stream.SAMPLE, 0, 0)
        clip = clip_THWC
        for step in self.transforms:
            clip = step(clip, rng)
        return clip

    def load(self, path: str, seed: int = 0) -> np.ndarray:
        """Return the clip of one video file (or folder of frames), for prediction.

        Raises:
            DataError: the file cannot be read; names it and says why.
        """
        rng = generator(seed, Stream.SAMPLE, 0, 0)
        clip = self(Sample(path=str(path), label=None, rng=rng, training=self.training)).clip
        assert clip is not None
        return clip

    def clip_shape(self, unknown: int = 224) -> tuple[int, ...]:
        """Return the shape of a clip in `output_layout`.

        Args:
            unknown: pixels to put where the size depends on the video.
        """
        height, width = self.output_size
        sizes = {"T": self.num_frames, "C": 3, "H": height or unknown, "W": width or unknown}
        return tuple(sizes[axis] for axis in self.output_layout)
