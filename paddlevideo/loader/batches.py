"""Batches: the samples of a batch read and put into arrays; runs in the worker processes.

A batch is a dict of arrays:

- ``clip`` [B, T, C, H, W] in the pipeline's layout and dtype (uint8 stays uint8); of a pipeline
  with several inputs, ``clip_<input>`` for each;
- ``label`` int64 [B];
- ``index`` int64 [B]: number of each sample in its data set;
- ``readable`` bool [B]: False where the clip is only zeros and the answer counts as wrong;
- ``replaced`` bool [B]: True where the clip, label and index are those of another sample, because
  the one whose turn it was could not be read (in training);
- ``frames_read``, ``frames_lost`` int64 [B]: frames of the file that can be decoded, and frames
  that are damaged; both 0 where it is not readable.
"""

import logging
from collections.abc import Callable
from typing import Literal

import numpy as np

from paddlevideo.loader.dataset.base import ClipDataset
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.randomness import draw_number
from paddlevideo.video.clip_input import ClipInput
from paddlevideo.video.sample import Sample

logger = logging.getLogger(__name__)

OnUnreadable = Literal["error", "count_wrong"]
RoomFor = Callable[[tuple[int, ...], np.dtype], np.ndarray]
"""Gives an array of this shape and dtype, whatever is in it."""


class BatchReader:
    """Reads whole batches: ``reader[(epoch, entries)]`` is the batch of these samples.

    An entry is the number of a sample or, with a multiple of their number added, another draw of it
    (`IndexSampler`).

    Args:
        dataset: where the samples come from.
        on_unreadable: ``error`` passes the data set's `DataError` on; ``count_wrong`` gives zeros
            with ``readable`` False in place of the clip.
    """

    def __init__(self, dataset: ClipDataset, on_unreadable: OnUnreadable = "error") -> None:
        self.dataset = dataset
        self.on_unreadable = on_unreadable

    def __getitem__(self, position: tuple[int, list[int]]) -> dict[str, np.ndarray]:
        """Return the batch; ``position`` is (epoch, entries).

        Raises:
            DataError: a sample cannot be read, or the clips differ in shape.
        """
        return self.read(position, np.empty)

    def read(self, position: tuple[int, list[int]], room_for: RoomFor) -> dict[str, np.ndarray]:
        """Return the batch, its clips in arrays that ``room_for`` gives.

        Raises:
            DataError: as above.
        """
        epoch, entries = position
        samples = [self._read(epoch, entry) for entry in entries]
        inputs = self.dataset.context.pipeline.inputs
        return {
            **{name: _stack(name, each, samples, room_for) for name, each in inputs.items()},
            "label": np.array([sample.label for sample in samples], np.int64),
            "index": np.array([sample.index for sample in samples], np.int64),
            "readable": np.array([sample.readable for sample in samples], np.bool_),
            "replaced": np.array([sample.replaces for sample in samples], np.bool_),
            "frames_read": np.array(
                [(sample.num_frames or 0) * sample.readable for sample in samples], np.int64
            ),
            "frames_lost": np.array([sample.frames_lost for sample in samples], np.int64),
        }

    def _read(self, epoch: int, entry: int) -> Sample:
        repeat, index = divmod(entry, len(self.dataset))
        draw = draw_number(epoch, repeat)
        try:
            return self.dataset[draw, index]
        except DataError as error:
            if self.on_unreadable == "error" or self.dataset.context.pipeline.training:
                raise
            logger.warning("counted as wrong: %s", error)
            return self.dataset.unreadable(draw, index)


def _stack(
    name: str, clip_input: ClipInput, samples: list[Sample], room_for: RoomFor
) -> np.ndarray:
    """The clips ``name`` of all samples; zeros for one that could not be read."""
    first: Sample | None = None
    shape = clip_input.clip_shape()  # of a batch in which nothing is readable
    for sample in samples:
        if name not in sample.clips:
            continue
        found = sample.clips[name].shape
        if first is None:
            first, shape = sample, found
        elif found != shape:
            raise DataError(
                f"clips of one batch differ in shape: {first.path} gives {list(shape)}, "
                f"{sample.path} gives {list(found)} ({clip_input.output_layout}). "
                "List a CenterCrop or Resize in this PIPELINE, or use a batch size of 1"
            )
    clips = room_for((len(samples), *shape), np.dtype(clip_input.output_dtype))
    for position, sample in enumerate(samples):
        clips[position] = sample.clips.get(name, 0)
    return clips
