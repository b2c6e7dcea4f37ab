"""Kinetics-400, 600 and 700: CSV files, or the JSON files with the same content.

A CSV has the columns ``label, youtube_id, time_start, time_end`` and mostly ``split``; a JSON maps
the id to ``{"annotations": {"label", "segment"}, "subset"}``. Clips are called
``<id>_<start>_<end>`` with six digits, or as the id alone. Classes are numbered by their sorted
names, as everywhere (TensorFlow's Model Garden, PaddleVideo, MMAction2).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from paddlevideo.apps.prepare.annotations import (
    Annotated,
    Annotations,
    csv_rows,
    sorted_names,
    split_of,
    split_of_file,
)
from paddlevideo.utils.errors import DataError, shown
from paddlevideo.utils.text_files import read_json

_COLUMNS = ("youtube_id", "time_start", "time_end")


def read_kinetics(paths: Sequence[Path], fold: int) -> Annotations:
    """Read the annotations of any Kinetics; a folder stands for its .csv files, else its .json.

    Args:
        fold: there is only one, 1.

    Raises:
        DataError: no file, one of another form, or a row that tells no split.
    """
    samples: list[Annotated] = []
    without_label: Counter[str] = Counter()
    for path in _files(paths):
        rows = _csv_samples(path) if path.suffix.lower() == ".csv" else _json_samples(path)
        for sample in rows:
            if sample.label:
                samples.append(sample)
            else:
                without_label[sample.split] += 1
    return Annotations(sorted_names(samples), samples, dict(without_label))


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(path.rglob("*.csv")) or sorted(path.rglob("*.json"))
        else:
            files.append(path)
    if not files:
        raise DataError(
            f"--annotations: {', '.join(map(str, paths))} holds no .csv and no .json file; "
            "expected train.csv, val.csv and so on"
        )
    return files


def _csv_samples(path: Path) -> Iterator[Annotated]:
    of_file = split_of_file(path)
    for where, row in csv_rows(path, _COLUMNS):
        split = split_of(row.get("split", "")) or of_file
        try:
            start, end = float(row["time_start"]), float(row["time_end"])
        except ValueError:
            raise DataError(f"{where}: time_start and time_end must be numbers") from None
        yield _sample(row["youtube_id"], row.get("label", ""), split, start, end, where)


def _json_samples(path: Path) -> Iterator[Annotated]:
    content = read_json(path, f"annotation file {path}", DataError, "list_bytes")
    for name, entry in content.items() if isinstance(content, dict) else ():
        where = f"{path}: {shown(name)}"
        try:
            annotations = entry.get("annotations", {})
            start, end = map(float, annotations["segment"])
            label = annotations.get("label") or ""
            split = split_of(entry.get("subset", "")) or split_of_file(path)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise DataError(
                f'{where}: expected {{"annotations": {{"label", "segment"}}, "subset"}}'
            ) from None
        yield _sample(name, label, split, start, end, where)


def _sample(
    name: str, label: str, split: str | None, start: float, end: float, where: str
) -> Annotated:
    if split is None:
        raise DataError(f"{where}: neither a column split nor the file's name tells the split")
    if not name.strip() or not 0 <= start <= end < 1e6:
        raise DataError(f"{where}: expected an id and times from 0 to 999999 seconds")
    label = label.strip().strip('"')
    names = (f"{name}_{int(start):06d}_{int(end):06d}", name)
    return Annotated(names, label, split, where, (label, label.replace(" ", "_"), split))
