"""`ClipInput`: makes a clip of an open video, by a sampler and a list of transforms."""

import numpy as np

from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.utils.randomness import Stream, generator
from paddlevideo.video.description import transform_nodes
from paddlevideo.video.steps import SAMPLERS, TRANSFORMS, Size, Transform


class ClipInput:
    """Chooses frames and transforms them.

    Most inputs make one clip of a video. A sampler of n clips and a step of m crops make n * m of
    it, the *views* of a test, which lie along a first axis V: clip after clip, its crops in a row.

    Args:
        node: ``{sample: ..., transform: [...]}``.
        where: YAML path of the node, for messages.

    Attributes:
        sampler: chooses the frames.
        num_frames: frames of a clip (T).
        num_views: views of a video (V); with 1 there is no such axis.
        output_layout: axes of a clip: ``TCHW``, ``CTHW`` or ``THWC``.
        output_dtype: ``uint8``, or ``float32`` where a step scales values.
        output_size: (height, width) of a clip; None where it depends on the video.
        scaled_by: the step that scales values; None where that is left to the model.

    Raises:
        ConfigError: an unknown component or argument, a wrong value, or steps in an order that
            cannot work; the message names the YAML path.
    """

    def __init__(self, node: ReadNode, where: str) -> None:
        self.sampler = SAMPLERS.build(node["sample"], f"{where}.sample")
        self.transforms: list[Transform] = []
        self.num_frames = self.sampler.num_frames
        self.num_views = self.sampler.num_clips
        self.output_layout = "THWC"
        self.output_dtype = "uint8"
        self.output_size: Size = (None, None)
        self.scaled_by: str | None = None
        self.where = where
        for step_node, at in transform_nodes(node, where):
            self._append(step_node, at)

    def _append(self, node: Node, where: str) -> None:
        TRANSFORMS.get(node["name"], where)  # here: the path without a doubled name
        step = TRANSFORMS.build(node, where)
        if step.layout_in != self.output_layout:
            raise ConfigError(
                f"{where}: takes a {step.layout_in} clip, but at this position in the list it is "
                f"{self.output_layout}; mind the order: frames, then Image2Array, then "
                "Normalization"
            )
        if self.output_dtype != "uint8":
            raise ConfigError(f"{where}: Normalization must be the last step")
        self.transforms.append(step)
        self.output_layout = step.layout_out
        self.output_dtype = step.dtype_out or self.output_dtype
        self.scaled_by = self.scaled_by or (node["name"] if step.scales_values else None)
        self.output_size = step.output_size(self.output_size)
        self.num_views *= step.num_crops

    def views(self, frames_THWC: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return what the model gets of the sampler's frames: a clip, or V of them.

        Args:
            frames_THWC: uint8 RGB [num_clips * T, H, W, 3].
            rng: for random steps.
        """
        if self.num_views == 1:
            return self.transform(frames_THWC, rng)
        clips = np.split(frames_THWC, self.sampler.num_clips)
        for step in self.transforms:
            made = [step(clip, rng) for clip in clips]
            clips = [crop for crops in made for crop in crops] if step.num_crops > 1 else made
        return np.stack(clips)

    def transform(
        self, clip_THWC: np.ndarray, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """Apply the transforms alone, to frames that are already here (a camera's, for instance).

        For an input of one view.

        Args:
            clip_THWC: uint8 RGB [T, H, W, 3], any T.
            rng: for random steps; without it they draw as for sample 0 of seed 0.
        """
        rng = rng if rng is not None else generator(0, Stream.SAMPLE, 0, 0)
        clip = clip_THWC
        for step in self.transforms:
            clip = step(clip, rng)
        return clip

    def clip_shape(self, unknown: int = 224) -> tuple[int, ...]:
        """Return the shape of a clip in `output_layout`, behind V if there are several views.

        Args:
            unknown: pixels to put where the size depends on the video.
        """
        height, width = self.output_size
        sizes = {"T": self.num_frames, "C": 3, "H": height or unknown, "W": width or unknown}
        clip = tuple(sizes[axis] for axis in self.output_layout)
        return clip if self.num_views == 1 else (self.num_views, *clip)
