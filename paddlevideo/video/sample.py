"""A *sample*: one row of a data set on its way from its bytes to a clip.

The vocabulary of the house. A *record* is what a list says (path, label). A *frame source* is an
open video or folder of images that gives frames by number. A *clip* is the array of the chosen
frames. An *input* is one way to choose and shape them; most pipelines have one. A sample carries
all of them from one pipeline step to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from paddlevideo.utils.clip_names import CLIP

if TYPE_CHECKING:
    from paddlevideo.video.decoders.base import FrameSource
    from paddlevideo.video.media import Media


class Record(NamedTuple):
    """One listed sample.

    Attributes:
        path: video file, or folder of frames, with every prefix and suffix applied.
        label: class number, 0-based.
        where: where it is listed (``train.list:12``), for messages.
        num_frames: frames the list promises; None where a list does not say (videos).
    """

    path: str
    label: int
    where: str
    num_frames: int | None = None


@dataclass
class Sample:
    """One sample while it is being prepared.

    Attributes:
        path: video file or folder of frames; of a video that is in no file of its own, its name.
        label: class number, or None in prediction.
        rng: the sample's own generator, a function of (seed, epoch, index) alone.
        training: whether steps draw at random (a step may still fix this by its arguments).
        where: where the sample is listed, for messages.
        index: number of the record in its data set; -1 in prediction.
        num_frames: before decoding what the list promises (None: nothing), afterwards the true
            number of frames.
        frames_lost: frames of the file that could not be decoded; known after decoding.
        frame_suffix: name pattern of the images of a frame folder, such as ``img_{:05}.jpg``.
        frame_start_index: number of the first image of a frame folder.
        media: what is opened; None: the file or folder ``path``.
        frames: the open frame source, between the decode and the sample step.
        frame_indices: 0-based numbers of the chosen frames, int64 [T], by name of the clip.
        clips: the finished clips by name: ``clip``, or ``clip_<input>`` for each of several.
        readable: False for a sample that could not be read and is to be counted as wrong; it has
            no clips.
        replaces: whether it was read in place of another, which could not be.
    """

    path: str
    label: int | None
    rng: np.random.Generator
    training: bool
    where: str = ""
    index: int = -1
    num_frames: int | None = None
    frames_lost: int = 0
    frame_suffix: str | None = None
    frame_start_index: int = 1
    media: Media | None = None
    frames: FrameSource | None = None
    frame_indices: dict[str, np.ndarray] = field(default_factory=dict)
    clips: dict[str, np.ndarray] = field(default_factory=dict)
    readable: bool = True
    replaces: bool = False

    @property
    def clip(self) -> np.ndarray | None:
        """The clip of a pipeline with one input; None before it is made."""
        return self.clips.get(CLIP)
