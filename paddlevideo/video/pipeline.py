"""The pipeline: decode, sample, transform, from one description, for every use of a clip."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.utils.randomness import Stream, generator
from paddlevideo.video.clip_input import ClipInput, ShapedRequest
from paddlevideo.video.decoders.base import DECODERS, FrameSource, IndexRefutedError
from paddlevideo.video.description import (
    check_keys,
    described_inputs,
    for_video_files,
    plain_copy,
    resizes_fast,
)
from paddlevideo.video.media import Media, as_media
from paddlevideo.video.sample import Sample

_Indices = Mapping[str, np.ndarray]
_Rngs = Mapping[str, np.random.Generator]
Video = str | Path | bytes | IO[bytes] | Media


class Pipeline:
    """Turns a sample's path into a clip, or into one clip for each of several inputs of a model.

    Training, test, export, prediction and streaming all build this from the same description.
    Whatever the number of inputs, the video is opened and decoded once.

    Args:
        description: ``{decode: ..., sample: ..., transform: [...]}``, or ``{decode: ..., inputs:
            {name: {sample: ..., transform: [...]}}}``; see `description`.
        where: YAML path of the description, for messages.
        training: whether the steps draw at random.

    Attributes:
        description: the description as a plain dict, to be stored with an exported model.
        inputs: what makes each clip, by the clip's name: ``clip``, or ``clip_<input>``.

    Raises:
        ConfigError: an unknown key, component or argument, a wrong value, or steps in an order
            that cannot work; the message names the YAML path.
    """

    def __init__(
        self, description: ReadNode, where: str = "PIPELINE", training: bool = False
    ) -> None:
        check_keys(description, where)
        self.description = plain_copy(description)
        self.training = training
        self.decoder = DECODERS.build(description["decode"], f"{where}.decode")
        self._resizes_fast = resizes_fast(description, where)
        self.inputs = {
            name: ClipInput(node, at, self._resizes_fast)
            for name, (node, at) in described_inputs(description, where).items()
        }
        self._where = where
        self._check_views()

    def _check_views(self) -> None:
        numbers = {name: each.num_views for name, each in self.inputs.items()}
        if len(set(numbers.values())) > 1:
            listed = ", ".join(f"{name} {number}" for name, number in numbers.items())
            raise ConfigError(f"{self._where}: inputs with different numbers of views: {listed}")
        if self.training:
            self.refuse_views("training takes one clip of a video")

    @property
    def num_views(self) -> int:
        """Clips that each input makes of a video; more than one are the views of a test."""
        return next(iter(self.inputs.values())).num_views

    def refuse_views(self, reason: str) -> None:
        """Raise `ConfigError` if there are several views.

        Args:
            reason: why there must not be, for the message.
        """
        if self.num_views > 1:
            raise ConfigError(
                f"{self._where}: {self.num_views} views of a video (num_clips of the sampler x "
                f"crops of UniformCrop or TenCrop) are for testing; {reason}: leave num_clips out, "
                "and list CenterCrop"
            )

    @property
    def input(self) -> ClipInput:
        """The input of a pipeline that has one.

        Raises:
            ConfigError: it has several.
        """
        return self.inputs[self._only_name()]

    def _only_name(self) -> str:
        if len(self.inputs) > 1:
            raise ConfigError(
                f"{self._where}: gives {', '.join(self.inputs)}, where a single clip is wanted; "
                "write sample and transform without inputs"
            )
        return next(iter(self.inputs))

    @staticmethod
    def check(description: ReadNode, where: str = "PIPELINE") -> None:
        """Check names, arguments and the order of the steps; no file is touched.

        Raises:
            ConfigError: naming the YAML path, such as ``PIPELINE.train.transform[0].Scale``.
        """
        Pipeline(description, where)

    # Where people look for it.
    for_video_files = staticmethod(for_video_files)

    def __call__(self, sample: Sample) -> Sample:
        """Decode, sample and transform; set clips, frame_indices and num_frames.

        Raises:
            DataError: the sample cannot be read or does not fit a step; names the file.
        """
        drawn = sample.rng.bit_generator.state
        try:
            finish = self._decode(sample, self._rngs(sample.rng))
        except IndexRefutedError:  # other frames than it seemed: choose anew, of those there are
            sample.rng.bit_generator.state = drawn
            finish = self._decode(sample, self._rngs(sample.rng))
        sample.frames = None
        try:
            sample.clips = {name: finish[name]() for name in self.inputs}
        except DataError as error:
            raise DataError(f"{sample.path}: {error}") from None
        return sample

    def _decode(self, sample: Sample, rngs: _Rngs) -> dict[str, Callable[[], np.ndarray]]:
        """Open, choose and read; return what makes each clip of that."""
        with self.decoder.open(sample) as frames:
            sample.frames = frames
            sample.num_frames = frames.num_frames
            sample.frames_lost = frames.frames_lost
            try:
                sample.frame_indices = self._choose(frames, rngs, sample.training)
            except DataError as error:
                raise DataError(f"{sample.path}: {error}") from None
            read = self._shape if self._resizes_fast else self._read
            return read(frames, sample.frame_indices, rngs)

    def _read(
        self, frames: FrameSource, indices: _Indices, rngs: _Rngs
    ) -> dict[str, Callable[[], np.ndarray]]:
        """Read RGB; return what makes each clip of it."""
        clips_THWC = _read_once(frames, indices)
        return {
            name: functools.partial(each.views, clips_THWC[name], rngs[name])
            for name, each in self.inputs.items()
        }

    def _shape(
        self, frames: FrameSource, indices: _Indices, rngs: _Rngs
    ) -> dict[str, Callable[[], np.ndarray]]:
        """Read finished pictures; return what makes each clip of them."""
        requests = {
            name: ShapedRequest(each, indices[name], rngs[name])
            for name, each in self.inputs.items()
        }
        try:
            clips = frames.read_shaped([request.shaped for request in requests.values()])
        except IndexRefutedError:
            raise
        except DataError as error:
            raise DataError(_about(frames.path, error)) from None
        return {
            name: functools.partial(request.finish, clip)
            for (name, request), clip in zip(requests.items(), clips, strict=True)
        }

    def _rngs(self, rng: np.random.Generator) -> dict[str, np.random.Generator]:
        """A generator for each input, so that what one draws does not depend on the others."""
        if len(self.inputs) == 1:
            return dict.fromkeys(self.inputs, rng)
        return dict(zip(self.inputs, rng.spawn(len(self.inputs)), strict=True))

    def _choose(
        self, frames: FrameSource, rngs: Mapping[str, np.random.Generator], training: bool
    ) -> dict[str, np.ndarray]:
        return {
            name: each.sampler.indices(
                frames.num_frames, rngs[name], training, frames.kind, frames.times_seconds
            )
            for name, each in self.inputs.items()
        }

    def load_sample(self, video: Video, seed: int = 0) -> Sample:
        """Return the sample of one video (or folder of frames), for prediction.

        It holds the clips by name and how many frames were read and lost.

        Args:
            video: path of a file or folder; bytes, an open file object that can be sought in, or
                `Media`.
            seed: of what the steps draw.

        Raises:
            DataError: the video cannot be read; names it and says why.
        """
        rng = generator(seed, Stream.SAMPLE, 0, 0)
        if isinstance(video, (str, Path)):
            return self(Sample(path=str(video), label=None, rng=rng, training=self.training))
        media = as_media(video)
        return self(Sample(media.name, None, rng, self.training, media=media))

    def load_clips(self, video: Video, seed: int = 0) -> dict[str, np.ndarray]:
        """Return the clips of `load_sample` alone."""
        return self.load_sample(video, seed).clips

    def load(self, video: Video, seed: int = 0) -> np.ndarray:
        """Return the clip of one video; as `load_clips`, of a pipeline with one input.

        Raises:
            ConfigError: the pipeline has several inputs.
            DataError: the video cannot be read; names it and says why.
        """
        name = self._only_name()
        return self.load_clips(video, seed)[name]


def _read_once(frames: FrameSource, indices: _Indices) -> dict[str, np.ndarray]:
    """Read the frames of all inputs in one pass, whichever of them they share."""
    clip_THWC = frames.read(np.concatenate(list(indices.values())))
    ends = np.cumsum([len(numbers) for numbers in indices.values()])
    return dict(zip(indices, np.split(clip_THWC, ends[:-1]), strict=True))


def _about(path: str, error: DataError) -> str:
    """The error's words, behind the path unless they begin with it."""
    words = str(error)
    return words if words.startswith(path) else f"{path}: {words}"
