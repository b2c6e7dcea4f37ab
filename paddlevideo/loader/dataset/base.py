"""`ClipDataset`: records in, processed samples out, and what happens to those that cannot be read.

::

    (epoch, index) -> record -> Sample(rng of (seed, epoch, index)) -> pipeline -> Sample with clip
"""

import itertools
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from paddlevideo.loader.dataset.bad_samples import BadSampleLog
from paddlevideo.utils.errors import ArgumentError, ConfigError, DataError
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.utils.randomness import Stream, generator
from paddlevideo.utils.registry import Registry
from paddlevideo.video.decoders.base import Kind
from paddlevideo.video.media import Media
from paddlevideo.video.pipeline import Pipeline
from paddlevideo.video.sample import Record, Sample

logger = logging.getLogger(__name__)

# Others that are tried in place of an unreadable one: a set of 90 % bad ones still trains.
_MOST_TRIED = 1000
_MOST_WARNINGS = 20  # of a process; the file has the rest


@dataclass(frozen=True)
class ReadingContext:
    """What the program, not the list, decides about reading a data set.

    Attributes:
        pipeline: turns a sample into a clip; it knows whether this is training.
        seed: of the run.
        bad_samples_path: JSON-lines file of the samples that could not be read, or None.
        class_names: names that number the class folders; None: the data set numbers its own.
        class_names_source: where they come from, for messages.
    """

    pipeline: Pipeline
    seed: int = 0
    bad_samples_path: Path | None = None
    class_names: tuple[str, ...] | None = None
    class_names_source: str = ""


class ClipDataset:
    """A list of records and the way to turn each into a clip. The base of all data sets.

    ``dataset[(epoch, index)]`` is a function of (seed, epoch, index) alone, whatever was read
    before and in whichever process. The object can be pickled.

    A sample that cannot be read: in training another one takes its place, a function of (seed,
    epoch, index, attempt): others are tried until one can be read, none of them twice. Otherwise it
    is an error. (Counting it as a wrong answer instead is up to `ClipLoader`.)

    Attributes:
        kind: what the records point to, ``video`` files or folders of ``frames``.
        records: the listed samples.
        frame_suffix: name pattern of frame images, None for videos.
        frame_start_index: number of the first image of a frame folder.
        class_names: names of the classes in label order, where the data set knows them.
        context: pipeline and seed.
        on_read: is told the number of each sample before it is read, by who watches for hangs.
    """

    kind: ClassVar[Kind] = "video"
    frame_suffix: str | None = None
    frame_start_index: int = 1
    class_names: list[str] | None = None
    on_read: Callable[[int], None] | None = None

    def __init__(
        self,
        records: Sequence[Record],
        source: str,
        context: ReadingContext,
        num_retries: int | None = None,
    ) -> None:
        """Take the records.

        Args:
            records: the listed samples.
            source: list file or folder they come from, for messages.
            context: pipeline and seed.
            num_retries: how many other samples are tried in place of an unreadable one, at most;
                by default all of them, up to 1000.

        Raises:
            DataError: no records.
            ConfigError: the pipeline's decoder opens the other kind of sample.
        """
        if not records:
            raise DataError(f"{source}: lists no samples")
        if num_retries is not None and num_retries < 0:
            raise ArgumentError(f"num_retries must not be negative, got {num_retries}")
        if context.pipeline.decoder.kind != self.kind:
            right = "FrameDecoder" if self.kind == "frames" else "VideoDecoder"
            raise ConfigError(
                f"{type(self).__name__} ({source}) needs the decoder {right}, but its pipeline has "
                f"{type(context.pipeline.decoder).__name__}"
            )
        self.records = list(records)
        self.source = source
        self.context = context
        self.num_retries = num_retries
        self._bad_samples = BadSampleLog(context.bad_samples_path)

    @classmethod
    def recorded_names(cls, node: ReadNode) -> tuple[list[str], Path] | None:
        """Names that the data of a checked node itself gives its labels, and the file with them.

        Not of class folders, whose numbers follow from the names. None: it gives none.

        Raises:
            DataError: the file cannot be read.
        """
        return None

    @classmethod
    def class_folders(cls, node: ReadNode) -> Path | None:
        """The folder of class folders that a checked node names; None: labels are listed."""
        return None

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, position: tuple[int, int]) -> Sample:
        """Return the processed sample ``index`` of ``epoch``; ``position`` is (epoch, index).

        Raises:
            DataError: it cannot be read; in training, neither it nor any of those tried in its
                place.
        """
        epoch, index = position
        try:
            return self._read(epoch, index, attempt=0)
        except DataError as error:
            failure = error
        self._note(index, failure)
        if self.context.pipeline.training:
            return self._replace(epoch, index, failure)
        raise DataError(f"{failure} (listed in {self.records[index].where})")

    def order(self, rng: np.random.Generator, drawn: np.ndarray | None = None) -> np.ndarray:
        """Return the numbers of the samples in the order of a shuffled epoch, int64.

        A function of the generator alone, and so the same on every rank and after a resume. A data
        set that is best read in another order than any gives that one.

        Args:
            rng: of the epoch.
            drawn: which are in it, some several times, in any order; by default each once.
        """
        return rng.permutation(len(self)) if drawn is None else drawn

    def keep(self, indices: Sequence[int]) -> None:
        """Leave these samples alone in it, numbered anew in ascending order."""
        self.records = [self.records[index] for index in sorted(indices)]

    def media_of(self, index: int) -> Media | None:
        """Where the bytes of a sample are; None: in the file or folder ``path`` of its record."""
        return None

    def unreadable(self, epoch: int, index: int) -> Sample:
        """Return the sample without a clip, marked as not readable."""
        sample = self._sample(epoch, index, attempt=0)
        sample.readable = False
        return sample

    def check_labels(self, num_classes: int) -> None:
        """Raise `DataError` for the first label outside 0 .. num_classes - 1."""
        for record in self.records:
            if not 0 <= record.label < num_classes:
                raise DataError(
                    f"{record.where}: label {record.label} of {record.path} is outside "
                    f"0..{num_classes - 1} (num_classes is {num_classes})"
                )

    def check_files(self) -> None:
        """Raise `DataError` if a listed file or folder is not there; none is opened."""
        missing = [record for record in self.records if not self.is_there(record)]
        if missing:
            raise DataError(
                f"{missing[0].where}: {len(missing)} of {len(self.records)} listed samples are not "
                f"there, {missing[0].path}: no such file, the first; mend the list or data_prefix, "
                "or set DATASET.on_unreadable: count_wrong"
            )

    def is_there(self, record: Record) -> bool:
        """Whether the record's file or folder exists; it is not opened."""
        return os.path.exists(record.path)  # noqa: PTH110 - a third of the time, for 10^6 files

    def _sample(self, epoch: int, index: int, attempt: int) -> Sample:
        record = self.records[index]
        position = (epoch, index, attempt) if attempt else (epoch, index)
        return Sample(
            path=record.path,
            label=record.label,
            rng=generator(self.context.seed, Stream.SAMPLE, *position),
            training=self.context.pipeline.training,
            where=record.where,
            index=index,
            num_frames=record.num_frames,
            frame_suffix=self.frame_suffix,
            frame_start_index=self.frame_start_index,
            media=self.media_of(index),
        )

    def _read(self, epoch: int, index: int, attempt: int) -> Sample:
        if self.on_read is not None:
            self.on_read(index)
        return self.context.pipeline(self._sample(epoch, index, attempt))

    def _replace(self, epoch: int, index: int, failure: DataError) -> Sample:
        """Read another sample in place of ``index``; which one depends on its position alone."""
        tried = 1
        for attempt, other in enumerate(self._others(epoch, index), start=1):
            try:
                sample = self._read(epoch, other, attempt)
            except DataError as error:
                failure = error
                self._note(other, failure)
                tried += 1
            else:
                sample.replaces = True
                return sample
        raise DataError(
            f"{self.source}: {tried} samples in a row could not be read; last: {failure}. Check "
            "the list and data_prefix; tools/check_data reads every listed sample"
        )

    def _others(self, epoch: int, index: int) -> Iterator[int]:
        """The other samples in an order drawn for this position, each once, as many as are tried.

        A walk round the set from a drawn start, by a drawn stride that has no divisor in common
        with its size: no list as long as the set is made.
        """
        size = len(self)
        most = _MOST_TRIED if self.num_retries is None else self.num_retries
        choice = generator(self.context.seed, Stream.SAMPLE, epoch, index, 1, 1)
        place, stride = (int(number) for number in choice.integers(size, size=2))
        while math.gcd(stride, size) != 1:
            stride += 1
        walk = ((place + step * stride) % size for step in range(size))
        return itertools.islice((other for other in walk if other != index), most)

    def _note(self, index: int, failure: DataError) -> None:
        """Write it down; and say so where nobody gets to see the error itself."""
        record = self.records[index]
        is_new = self._bad_samples.add(record, str(failure))
        if not is_new or not self.context.pipeline.training:
            return
        count = self._bad_samples.count
        if count <= _MOST_WARNINGS:
            logger.warning("%s: another sample takes its place: %s", record.where, failure)
        if count == _MOST_WARNINGS:
            logger.warning("this process warns of no more of them; bad_samples.jsonl has all")


DATASETS: Registry[ClipDataset] = Registry("dataset format", ClipDataset)
