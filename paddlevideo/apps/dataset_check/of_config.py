"""The samples of a config's splits, and what its pipelines say about each."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from paddlevideo.apps.dataset_check.check import scan_videos
from paddlevideo.apps.dataset_check.findings import Finding, Kind
from paddlevideo.apps.dataset_check.listing import Entry, Listing
from paddlevideo.apps.own_videos.file_scan import MOST_THUMBNAILS, FileScan, scan_media
from paddlevideo.apps.own_videos.scanning import scan_files
from paddlevideo.loader.dataset.base import ClipDataset
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.randomness import Stream, generator
from paddlevideo.video.clip_input import ClipInput
from paddlevideo.video.samplers.segments import Sampler
from paddlevideo.video.steps import FrameSampler


class ConfigCheck:
    """Checks the samples of a config.

    Args:
        title: of the config.
        datasets: by split; read as in evaluation.
        num_classes: of the model.
        class_names: their names, where they are known.
    """

    def __init__(
        self,
        title: str,
        datasets: Mapping[str, ClipDataset],
        num_classes: int,
        class_names: Sequence[str] | None,
    ) -> None:
        self._datasets = datasets
        names = [""] * num_classes if class_names is None else class_names
        classes = [f"{number} {name[:100]}".rstrip() for number, name in enumerate(names)]
        entries = [
            Entry(
                Path(record.path),
                classes[record.label] if 0 <= record.label < num_classes else str(record.label),
                split,
                record.where,
                record.label,
                record.num_frames,
            )
            for split, dataset in datasets.items()
            for record in dataset.records
        ]
        self.listing = Listing(title, tuple(entries), tuple(classes))
        self._num_classes = num_classes
        self._fits: dict[tuple[str, int, int], str] = {}

    def scan(self, paths: Sequence[Path], workers: int | None) -> Iterator[FileScan]:
        """Yield what each file, or folder of frames, holds."""
        folders: dict[str, _FolderReader] = {}
        of_frames: dict[Path, str] = {}
        for split, dataset in self._datasets.items():
            if dataset.kind == "frames" or dataset.media_of(0) is not None:
                folders[split] = _FolderReader(dataset)
                of_frames.update((Path(record.path), split) for record in dataset.records)
        scanned = [scan_videos([path for path in paths if path not in of_frames], workers)]
        for split, reader in folders.items():
            own = [path for path in paths if of_frames.get(path) == split]
            scanned.append(scan_files(own, workers, partial(_read_folder, reader)))
        return chain.from_iterable(scanned)

    def judge(self, index: int, entry: Entry, scan: FileScan) -> Iterator[Finding]:
        """Labels outside the model's classes; what does not fit a pipeline, or fill a clip."""
        if entry.number is None or not 0 <= entry.number < self._num_classes:
            text = f"label {entry.number} is outside 0..{self._num_classes - 1}"
            yield Finding(Kind.LABEL, index, text)
        if scan.reason or not scan.width:  # a folder of frames was read by its pipeline
            return
        misfit = self._misfit(entry.split, scan.width, scan.height)
        if misfit:
            yield Finding(Kind.DOES_NOT_FIT, index, misfit)
            return
        for each in self._datasets[entry.split].context.pipeline.inputs.values():
            try:
                lacking = too_short(each, scan)
            except DataError as error:
                yield Finding(Kind.DOES_NOT_FIT, index, str(error))
                return
            if lacking:
                yield Finding(Kind.SHORT, index, lacking)
                return

    def _misfit(self, split: str, width: int, height: int) -> str:
        """Why pictures of a size do not pass the transforms of a split; empty if they do."""
        key = split, width, height
        if key not in self._fits:
            self._fits[key] = ""
            rng = generator(0, Stream.SAMPLE, 0, 0)
            for each in self._datasets[split].context.pipeline.inputs.values():
                num_frames = 2 * each.sampler.num_clips
                black: np.ndarray = np.zeros((num_frames, height, width, 3), np.uint8)
                try:
                    each.views(black, rng)
                except DataError as error:
                    self._fits[key] = str(error)
        return self._fits[key]


def too_short(clip_input: ClipInput, scan: FileScan) -> str:
    """What a video lacks to fill a clip; empty if it does.

    A sampler by time needs its frames at its rate. One by frames gives them in ascending order,
    each once, of a video that is long enough (the first of its views, where it has several).

    Raises:
        DataError: the sampler cannot choose of such a video.
    """
    sampler, times = clip_input.sampler, scan.fingerprint.times_seconds
    if sampler.frame_rate is not None:
        needed = (sampler.num_frames - 1) / sampler.frame_rate
        if scan.duration_seconds >= needed:
            return ""
        return f"lasts {scan.duration_seconds:.2f} s, and a clip {needed:.2f} s"
    if scan.frames_read > MOST_THUMBNAILS or len(times) != scan.frames_read:
        times = np.linspace(0, scan.duration_seconds, scan.frames_read)
    rng = generator(0, Stream.SAMPLE, 0, 0)
    view = _view_of(sampler)
    chosen = sampler.indices(scan.frames_read, rng, False, "video", times)[:view]
    if (np.diff(chosen) > 0).all():
        return ""
    return f"has {scan.frames_read} frames, too few for a clip of {view}: some are repeated"


def _view_of(sampler: FrameSampler) -> int:
    """Frames of the first of the windows that a sampler takes, which may overlap each other."""
    if isinstance(sampler, Sampler):
        views = {"dense_sample": sampler.num_seg, "frame_interval": sampler.seg_len}
        return views.get(sampler.rule, sampler.num_frames)
    return sampler.num_frames


class _FolderReader:
    """Reads folders of frames by the pipeline of their split, and videos that are in no file of
    their own, in a worker process."""

    def __init__(self, dataset: ClipDataset) -> None:
        self._dataset = dataset
        self._index_of = {Path(r.path): index for index, r in enumerate(dataset.records)}

    def read(self, path: Path) -> FileScan:
        """Read one of them."""
        index = self._index_of[path]
        media = self._dataset.media_of(index)
        if media is not None:
            return scan_media(path, media)
        try:
            if not self._dataset.is_there(self._dataset.records[index]):
                raise DataError("no such folder")
            sample = self._dataset[0, index]
        except DataError as error:
            return FileScan(path, reason=str(error).removeprefix(f"{path}: "))
        lost = sample.frames_lost
        read = sample.num_frames or 0
        damage = f"damaged: {lost} of {read + lost} frames cannot be decoded" if lost else ""
        return FileScan(path, frames_read=read, frames_lost=lost, damage=damage)


def _read_folder(reader: _FolderReader, path: Path) -> FileScan:
    return reader.read(path)
