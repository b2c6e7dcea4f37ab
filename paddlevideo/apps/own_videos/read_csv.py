"""Videos listed in a CSV file: ``path,label[,split][,group]``."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from paddlevideo.apps.own_videos.records import SPLIT_NAMES, VAL, VideoRecord, named, split_named
from paddlevideo.loader.dataset.class_folders import same_form
from paddlevideo.loader.dataset.list_files import check_path
from paddlevideo.utils.errors import DataError, nearest_hint, shown
from paddlevideo.utils.text_files import read_text

_REQUIRED = ("path", "label")
_KNOWN = (*_REQUIRED, "split", "group")
_FORM = "a CSV needs a first line path,label[,split][,group]"
_LONGEST_LABEL = 200


def read_csv(file: Path) -> tuple[list[VideoRecord], list[str]]:
    """Return the records of a CSV file, and sentences on what was left out.

    Relative paths are relative to the file's folder. Other columns are left out.

    Raises:
        DataError: the file cannot be read, has no such header, a line does not have this form, the
            same path is listed with different entries, only some lines state a split while others
            are for val, or none of the files exists.
    """
    text = read_text(file, f"CSV file {file}", DataError, "list_bytes")
    rows = _rows(file, text)
    _, header = next(rows, (0, []))
    columns = _columns(file, header)
    notes = []
    others = [name for name in header if name.strip().lower() not in _KNOWN]
    if others:
        notes.append(f"{file}: columns that are not used: {named(others)}.")
    records: dict[Path, VideoRecord] = {}
    for number, row in rows:
        record = _record(file, number, row, columns, len(header))
        earlier = records.setdefault(record.path, record)
        if _entry(earlier) != _entry(record):
            raise DataError(
                f"{record.where}: {record.path} is listed before with another label, split or "
                f"group ({earlier.where}); keep one of the lines"
            )
        if earlier is not record:
            notes.append(f"{record.where}: {record.path} is listed twice and counts once.")
    _check_together(file, list(records.values()))
    return list(records.values()), notes


def _rows(file: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Number of the line and fields of every row that is not empty."""
    reader = csv.reader(io.StringIO(text), strict=True)
    begin = 1
    try:
        for row in reader:
            if any(field.strip() for field in row):
                yield begin, row
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{file}:{begin}: is not CSV: {error}; check the quotes") from None


def _columns(file: Path, header: Sequence[str]) -> dict[str, int]:
    names = [name.strip().lower() for name in header]
    if not names:
        raise DataError(f"{file}: is empty; {_FORM}")
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        separator = next((mark for mark in (";", "\t", "|") if mark in header[0]), None)
        hint = f"; the separator is a comma, not {separator!r}" if separator else ""
        raise DataError(
            f"{file}:1: there is no column {missing[0]}, the columns are {shown(list(header))}; "
            f"{_FORM}{hint}"
        )
    repeated = [name for name in _KNOWN if names.count(name) > 1]
    if repeated:
        raise DataError(f"{file}:1: the column {repeated[0]} is there twice; {_FORM}")
    return {name: names.index(name) for name in _KNOWN if name in names}


def _record(
    file: Path, number: int, row: Sequence[str], columns: Mapping[str, int], num_columns: int
) -> VideoRecord:
    where = f"{file}:{number}"
    if len(row) != num_columns:
        raise DataError(
            f"{where}: {len(row)} fields, and the header has {num_columns}; a field with a comma "
            'needs quotes: "a, b"'
        )
    fields = {name: row[column].strip() for name, column in columns.items()}
    for name in _REQUIRED:
        if not fields[name]:
            raise DataError(f"{where}: the {name} is empty; fill it in, or delete the line")
    label = same_form(fields["label"])
    if len(label) > _LONGEST_LABEL or not label.isprintable():
        raise DataError(
            f"{where}: the label {shown(label)} is longer than {_LONGEST_LABEL} characters or has "
            "control characters"
        )
    check_path(fields["path"], where)
    split = fields.get("split") or None
    if split is not None and split_named(split) is None:
        raise DataError(
            f"{where}: unknown split {shown(split)}; {nearest_hint(split, SPLIT_NAMES)}"
        )
    return VideoRecord(
        path=file.parent / fields["path"],
        class_name=label,
        split=split_named(split) if split else None,
        group=same_form(fields.get("group", "")) or None,
        where=where,
    )


def _entry(record: VideoRecord) -> tuple[str, str | None, str | None]:
    return record.class_name, record.split, record.group


def _check_together(file: Path, records: Sequence[VideoRecord]) -> None:
    if not records:
        raise DataError(f"{file}: lists no videos")
    unstated = [record for record in records if record.split is None]
    if unstated and any(record.split == VAL for record in records):
        raise DataError(
            f"{unstated[0].where}: has no split, and other lines have; state a split on every "
            "line, or leave val out to have it chosen"
        )
    if not any(_exists(record.path) for record in records):
        raise DataError(
            f"{records[0].where}: {records[0].path}: there is no such file, nor is any other of "
            f"the list there; relative paths are relative to {file.parent}"
        )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
