"""`ClipInput`: makes a clip of an open video, by a sampler and a list of transforms."""

from collections.abc import Sequence

import numpy as np

from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.utils.randomness import Stream, generator
from paddlevideo.video.decoders.base import ShapedClip
from paddlevideo.video.decoders.sizes import check_clip_size
from paddlevideo.video.description import transform_nodes
from paddlevideo.video.pictures import PictureStack, RgbPicture
from paddlevideo.video.scaled_crop import ScaledCrop
from paddlevideo.video.steps import SAMPLERS, TRANSFORMS, Size, Transform


class ClipInput:
    """Chooses frames and transforms them.

    Most inputs make one clip of a video. A sampler of n clips and a step of m crops make n * m of
    it, the *views* of a test, which lie along a first axis V: clip after clip, its crops in a row.

    Args:
        node: ``{sample: ..., transform: [...]}``.
        where: YAML path of the node, for messages.
        resizes_fast: cuts, resizes and mirrorings at the head of the list are one operation on
            each frame as it comes (`ScaledCrop`), instead of one after the other on RGB.

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

    def __init__(self, node: ReadNode, where: str, resizes_fast: bool = False) -> None:
        self.sampler = SAMPLERS.build(node["sample"], f"{where}.sample")
        self.transforms: list[Transform] = []
        self.num_frames = self.sampler.num_frames
        self.num_views = self.sampler.num_clips
        self.output_layout = "THWC"
        self.output_dtype = "uint8"
        self.output_size: Size = (None, None)
        self.scaled_by: str | None = None
        self.where = where
        self._first = generator(0, Stream.SAMPLE, 0, 0)  # for frames of streams, if none draws
        self.resizes_fast = resizes_fast
        for step_node, at in transform_nodes(node, where):
            self._append(step_node, at)
        self._draws = any(step.draws for step in self.transforms)

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
        if not self.resizes_fast:
            return self.finished(self.transforms, frames_THWC, rng)
        height, width = frames_THWC.shape[1:3]
        stack, rest = self.stack_for(len(frames_THWC), height, width, rng)
        for number, frame_HWC in enumerate(frames_THWC):
            stack.put([number], RgbPicture(frame_HWC))
        return self.finished(rest, stack.clip, rng)

    def finished(
        self, steps: Sequence[Transform], clip: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Apply what is left of the transforms to all frames; see `views`.

        Args:
            steps: the last of the transforms.
            clip: the frames of all the sampler's clips along T, in the layout that steps take.
        """
        if self.num_views == 1:
            return _applied(steps, clip, rng)
        layout = steps[0].layout_in if steps else self.output_layout
        clips = np.split(clip, self.sampler.num_clips, axis=layout.index("T"))
        for step in steps:
            made = [step(each, rng) for each in clips]
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
        if rng is None:
            rng = self._first if not self._draws else generator(0, Stream.SAMPLE, 0, 0)
        if not self.resizes_fast:
            return _applied(self.transforms, clip_THWC, rng)
        height, width = clip_THWC.shape[1:3]
        stack, rest = self.stack_for(len(clip_THWC), height, width, rng)
        for number, frame_HWC in enumerate(clip_THWC):
            stack.put([number], RgbPicture(frame_HWC))
        return _applied(rest, stack.clip, rng)

    def stack_for(
        self, num_frames: int, height: int, width: int, rng: np.random.Generator
    ) -> tuple[PictureStack, list[Transform]]:
        """Return what takes frames of a size through the steps at the head of the list; the others.

        Raises:
            DataError: the frames do not fit, or the clip would be too large.
        """
        crop, rest = self.scaled_crop(height, width, rng)
        layout = "THWC"
        if rest and rest[0].only_layout:
            layout, rest = rest[0].layout_out, rest[1:]
        check_clip_size("the clip", num_frames, *crop.size)
        return PictureStack(num_frames, crop, layout), rest

    def scaled_crop(
        self, height: int, width: int, rng: np.random.Generator
    ) -> tuple[ScaledCrop, list[Transform]]:
        """Return the steps at the head of the list as one, for frames of a size; and the others.

        Random steps draw what they draw when they are called one after the other.
        """
        crop = ScaledCrop.whole(height, width)
        for number, step in enumerate(self.transforms):
            longer = step.scaled_crop(crop, rng)
            if longer is None:
                return crop, self.transforms[number:]
            crop = longer
        return crop, []

    def clip_shape(self, unknown: int = 224) -> tuple[int, ...]:
        """Return the shape of a clip in `output_layout`, behind V if there are several views.

        Args:
            unknown: pixels to put where the size depends on the video.
        """
        height, width = self.output_size
        sizes = {"T": self.num_frames, "C": 3, "H": height or unknown, "W": width or unknown}
        clip = tuple(sizes[axis] for axis in self.output_layout)
        return clip if self.num_views == 1 else (self.num_views, *clip)


class ShapedRequest:
    """One input's clip on its way: finished pictures first, then the steps that are left.

    Args:
        clip_input: the input.
        indices_T: numbers of its frames.
        rng: for random steps.
    """

    def __init__(
        self, clip_input: ClipInput, indices_T: np.ndarray, rng: np.random.Generator
    ) -> None:
        self._input = clip_input
        self._rng = rng
        self._rest: list[Transform] = []
        self.shaped = ShapedClip(indices_T, self._stack_for)

    def _stack_for(self, height: int, width: int) -> PictureStack:
        num_frames = len(self.shaped.indices_T)
        stack, self._rest = self._input.stack_for(num_frames, height, width, self._rng)
        return stack

    def finish(self, clip: np.ndarray) -> np.ndarray:
        """Apply to the pictures what is left."""
        return self._input.finished(self._rest, clip, self._rng)


def _applied(steps: Sequence[Transform], clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    for step in steps:
        clip = step(clip, rng)
    return clip
