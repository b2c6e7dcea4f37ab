"""Batches: the samples of a batch read and put into arrays; runs in the worker processes.

A batch is a dict of arrays:

- ``clip`` [B, T, C, H, W] in the pipeline's layout and dtype (uint8 stays uint8);
- ``label`` int64 [B];
- ``index`` int64 [B]: number of each sample in its data set;
- ``readable`` bool [B]: False where the clip is only zeros and the answer counts as wrong.
"""

import logging
from typing import Literal

import numpy as np

from paddlevideo.loader.dataset.base import ClipDataset
from paddlevideo.loader.sample import Sample
from paddlevideo.utils.errors import DataError

logger = logging.getLogger(__name__)

OnUnreadable = Literal["error", "count_wrong"]


class BatchReader:
    """Reads whole batches: ``reader[(epoch, indices)]`` is the batch of these samples.

    Args:
        dataset: where the samples come from.
        on_unreadable: ``error`` passes the data set's `DataError` on; ``count_wrong`` gives zeros
            with ``readable`` False in place of the clip.
    """

    def __init__(self, dataset: ClipDataset, on_unreadable: OnUnreadable = "error") -> None:
        self.dataset = dataset
        self.on_unreadable = on_unreadable

    def __getitem__(self, place: tuple[int, list[int]]) -> dict[str, np.ndarray]:
        """Return the batch; ``place`` is (epoch, indices).

        Raises:
            DataError: a sample cannot be read, or the clips differ in shape.
        """
        epoch, indices = place
        samples = [self._read(epoch, index) for index in indices]
        return {
            "clip": self._stack(samples),
            "label": np.array([sample.label for sample in samples], np.int64),
            "index": np.array([sample.index for sample in samples], np.int64),
            "readable": np.array([sample.readable for sample in samples], np.bool_),
        }

    def _read(self, epoch: int, index: int) -> Sample:
        try:
            return self.dataset[epoch, index]
        except DataError as error:
            if self.on_unreadable == "error" or self.dataset.context.pipeline.training:
                raise
            logger.warning("counted as wrong: %s", error)
            return self.dataset.unreadable(epoch, index)

    def _stack(self, samples: list[Sample]) -> np.ndarray:
        pipeline = self.dataset.context.pipeline
        first: Sample | None = None
        shape = pipeline.clip_shape()  # of a batch in which nothing is readable
        for sample in samples:
            if sample.clip is None:
                continue
            if first is None:
                first, shape = sample, sample.clip.shape
            elif sample.clip.shape != shape:
                raise DataError(
                    f"clips of one batch differ in shape: {first.path} gives {list(shape)}, "
                    f"{sample.path} gives {list(sample.clip.shape)} ({pipeline.output_layout}). "
                    "List a CenterCrop or Resize in this PIPELINE, or use a batch size of 1"
                )
        clips: np.ndarray = np.zeros((len(samples), *shape), pipeline.output_dtype)
        for place, sample in enumerate(samples):
            if sample.clip is not None:
                clips[place] = sample.clip
        return clips
