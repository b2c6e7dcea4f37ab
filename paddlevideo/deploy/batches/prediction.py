"""Many files through one predictor: in batches, each failure told and the rest gone on with."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from paddlevideo.deploy.predictor import VideoPredictor, VideoResult
from paddlevideo.loader.dataset.folder import VIDEO_EXTENSIONS
from paddlevideo.utils.errors import DataError

logger = logging.getLogger(__name__)

_LIST_EXTENSIONS = (".txt", ".list", ".csv")


@dataclass(frozen=True)
class VideoFailure:
    """A file that could not be classified, and why."""

    path: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Plain values, as ``--output results.jsonl`` holds them."""
        return {"file": self.path, "error": self.reason}


def find_videos(source: str | Path) -> list[Path]:
    """Return the files that ``source`` stands for.

    Args:
        source: a video file; a folder (its video files, subfolders included); or a list file
            (.txt, .list, .csv) with a path on each line, relative to the list or to the working
            folder; a label may follow it.

    Raises:
        DataError: it does not exist, or holds no video.
    """
    source = Path(source)
    if source.is_dir():
        found = sorted(
            path
            for path in source.rglob("*")
            if path.suffix.lower().lstrip(".") in VIDEO_EXTENSIONS and path.is_file()
        )
        if not found:
            raise DataError(f"{source}: the folder holds no video files")
        return found
    if not source.is_file():
        raise DataError(f"{source}: no such file or folder")
    if source.suffix.lower() in _LIST_EXTENSIONS:
        return _listed(source)
    return [source]


def _listed(source: Path) -> list[Path]:
    """The path of every line: the longest beginning of it that is a file."""
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{source}: is not a text file with one path a line") from None
    lines = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    is_table = source.suffix.lower() == ".csv"
    if is_table and lines and lines[0].startswith("path,"):
        lines = lines[1:]
    if not lines:
        raise DataError(f"{source}: lists no files")
    return [_path_in(line, "," if is_table else None, source.parent) for line in lines]


def _path_in(line: str, separator: str | None, folder: Path) -> Path:
    """What the line names; the whole line where no beginning of it is a file."""
    text = line
    while True:
        for candidate in (Path(text), folder / text):
            if candidate.is_file():
                return candidate
        shorter = text.rsplit(separator, 1)[0]
        if shorter == text:
            return Path(line)
        text = shorter


def predict_files(
    predictor: VideoPredictor, paths: Sequence[Path], batch_size: int, top_k: int
) -> Iterator[VideoResult | VideoFailure]:
    """Yield a result or a failure for every file, in order."""
    for group in _groups(paths, batch_size):
        clips: dict[int, dict[str, np.ndarray]] = {}
        failures: dict[int, VideoFailure] = {}
        for place, path in enumerate(group):
            try:
                clips[place] = predictor.pipeline.load_views(str(path))
            except DataError as error:
                failures[place] = VideoFailure(str(path), str(error))
        results: dict[int, VideoResult] = {}
        for places in _alike(clips):
            names = [str(group[place]) for place in places]
            batch = {view: np.stack([clips[p][view] for p in places]) for view in clips[places[0]]}
            classified = predictor.classify(batch, names, top_k)
            results.update(zip(places, classified, strict=True))
        for place in range(len(group)):
            yield results[place] if place in results else failures[place]


def _alike(clips: Mapping[int, Mapping[str, np.ndarray]]) -> list[list[int]]:
    """The places of clips of the same shapes: a pipeline without a fixed size can give several."""
    by_shape: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for place, views in clips.items():
        by_shape.setdefault(tuple(clip.shape for clip in views.values()), []).append(place)
    return list(by_shape.values())


def _groups(paths: Iterable[Path], size: int) -> Iterator[list[Path]]:
    iterator = iter(paths)
    while group := list(islice(iterator, size)):
        yield group
