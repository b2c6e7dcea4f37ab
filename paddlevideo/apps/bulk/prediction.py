"""Many files through one predictor: each failure is reported and costs the others nothing."""

import csv
import io
import logging
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from paddlevideo.runtime.predictor import VideoPredictor, VideoResult
from paddlevideo.utils.errors import DataError
from paddlevideo.video.sample import Sample
from paddlevideo.video.video_files import VIDEO_EXTENSIONS, files_under

logger = logging.getLogger(__name__)

_LIST_EXTENSIONS = (".txt", ".list", ".csv")
_PATH_COLUMNS = ("file", "path")


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
            folder; a label may follow it. A .csv is read as such: its first column, or the one
            that is called ``file`` or ``path``.

    Raises:
        DataError: it does not exist, or holds no video.
    """
    source = Path(source)
    if source.is_dir():
        return _videos_below(source)
    if not source.is_file():
        raise DataError(f"{source}: no such file or folder")
    if source.suffix.lower() in _LIST_EXTENSIONS:
        return _listed(source)
    if source.suffix.lower() == ".tar":
        raise DataError(
            f"{source}: is a shard, and prediction reads video files; to try a model on shards, "
            "test it by a config with format: ShardDataset"
        )
    return [source]


def _videos_below(folder: Path) -> list[Path]:
    """The videos in a folder; what is left out is said."""
    found, others = [], Counter[str]()
    for path in files_under(folder):
        if path.suffix.lower().lstrip(".") in VIDEO_EXTENSIONS:
            found.append(path)
        else:
            others[path.suffix or "no extension"] += 1
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
    if not found:
        raise DataError(
            f"{folder}: the folder holds no video files"
            + (f" ({kinds}); a folder of frames is made a video with ffmpeg" if kinds else "")
        )
    if kinds:
        logger.warning("%s: files that are not taken for videos are left out: %s", folder, kinds)
    return found


def _listed(source: Path) -> list[Path]:
    """The path of every entry of a list file."""
    try:
        text = source.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{source}: is not a text file with one path a line") from None
    if source.suffix.lower() == ".csv":
        paths = _paths_of_table(source, text)
    else:
        lines = [line for line in map(str.strip, text.splitlines()) if line]
        entries = [line for line in lines if not line.startswith("# ") and line != "#"]
        if len(entries) < len(lines):
            logger.info("%s: %d lines are comments", source, len(lines) - len(entries))
        paths = [_path_in(line, None, source.parent) for line in entries]
    if not paths:
        raise DataError(f"{source}: lists no files")
    return paths


def _paths_of_table(source: Path, text: str) -> list[Path]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(row)]
    except csv.Error as error:
        raise DataError(f"{source}: is not a CSV file: {error}") from None
    column, header = 0, [cell.strip().lower() for cell in rows[0]] if rows else []
    names = [name for name in _PATH_COLUMNS if name in header]
    if names and not _is_file(rows[0][0], source.parent):
        column, rows = header.index(names[0]), rows[1:]
    paths = []
    for row in rows:
        if len(row) <= column or not row[column]:
            raise DataError(f"{source}: the row {','.join(row)[:100]!r} names no file")
        whole = ",".join(row) if column == 0 else row[column]
        found = _is_file(row[column], source.parent)
        paths.append(found or _path_in(whole, ",", source.parent, Path(row[column])))
    return paths


def _is_file(text: str, folder: Path) -> Path | None:
    for candidate in (Path(text), folder / text):
        try:
            if candidate.is_file():
                return candidate
        except (OSError, ValueError):  # a name that no file can have
            return None
    return None


def _path_in(line: str, separator: str | None, folder: Path, otherwise: Path | None = None) -> Path:
    """What the line names: its longest beginning that is a file; ``otherwise`` where none is."""
    text = line
    while True:
        found = _is_file(text, folder)
        if found is not None:
            return found
        shorter = text.rsplit(separator, 1)[0]
        if shorter == text:
            return otherwise or Path(line)
        text = shorter


def predict_files(
    predictor: VideoPredictor, paths: Sequence[Path], batch_size: int, top_k: int
) -> Iterator[VideoResult | VideoFailure]:
    """Yield a result or a failure for every file, in order."""
    for begin in range(0, len(paths), batch_size):
        group = paths[begin : begin + batch_size]
        samples: dict[int, Sample] = {}
        failures: dict[int, VideoFailure] = {}
        for index, path in enumerate(group):
            try:
                samples[index] = predictor.pipeline.load_sample(str(path))
            except DataError as error:
                failures[index] = VideoFailure(str(path), str(error))
            except Exception as error:  # noqa: BLE001
                # A file never costs the others their results, whatever a library raises on it.
                logger.debug("%s: %s", path, traceback.format_exc())
                what = f"{type(error).__name__}: {str(error)[:200]}"
                failures[index] = VideoFailure(str(path), f"{path}: cannot be read: {what}")
        results: dict[int, VideoResult] = {}
        for indices in _alike({index: sample.clips for index, sample in samples.items()}):
            chosen = [samples[index] for index in indices]
            names = [sample.path for sample in chosen]
            batch = {name: np.stack([s.clips[name] for s in chosen]) for name in chosen[0].clips}
            for index, sample, result in zip(
                indices, chosen, predictor.classify(batch, names, top_k), strict=True
            ):
                read, lost = sample.num_frames, sample.frames_lost
                results[index] = replace(result, frames_read=read, frames_lost=lost)
        for index in range(len(group)):
            yield results[index] if index in results else failures[index]


def _alike(clips: Mapping[int, Mapping[str, np.ndarray]]) -> list[list[int]]:
    """Indices of clips of the same shapes: a pipeline without a fixed size can give several."""
    by_shape: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for index, inputs in clips.items():
        by_shape.setdefault(tuple(clip.shape for clip in inputs.values()), []).append(index)
    return list(by_shape.values())
