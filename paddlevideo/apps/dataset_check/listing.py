"""`Listing`: the samples of lists and folders, with what is known of their classes and splits."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paddlevideo.apps.own_videos.records import split_named
from paddlevideo.loader.dataset.class_folders import same_form
from paddlevideo.loader.dataset.list_files import check_path, read_list
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.text_files import read_text
from paddlevideo.video.video_files import VIDEO_EXTENSIONS, files_under

# Sound is looked at too: a video whose pictures were lost in a conversion should be named.
_SOUND = ("aac", "flac", "m4a", "mka", "mp3", "oga", "opus", "wav")
_EXTENSIONS = frozenset(f".{extension}" for extension in (*VIDEO_EXTENSIONS, *_SOUND))


@dataclass(frozen=True)
class Entry:
    """One listed sample.

    Attributes:
        path: the file, or the folder of frames.
        label: name or number of its class; empty where there is none.
        split: the split or the list that it is in.
        where: the file and line, or the folder, that lists it.
        number: of its class; None where classes have names alone.
        num_frames: frames that a list promises of a folder of frames.
    """

    path: Path
    label: str
    split: str
    where: str
    number: int | None = None
    num_frames: int | None = None


@dataclass(frozen=True)
class Listing:
    """What is checked.

    Attributes:
        title: where it comes from.
        entries: the samples.
        classes: titles of the classes in order; those of the entries where nothing states them.
        notes: sentences on what was left out.
    """

    title: str
    entries: tuple[Entry, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def splits(self) -> list[str]:
        """The splits, in the order of their first entry."""
        return list(dict.fromkeys(entry.split for entry in self.entries))


def read_listings(sources: Sequence[Path], prefix: str | None = None) -> Listing:
    """Read lists and folders; no video is opened.

    Args:
        sources: each a folder of class folders, perhaps below folders of splits; a folder of
            videos; a CSV file with a column ``path`` and perhaps ``label`` and ``split``, its paths
            relative to its folder; or a list with lines ``path label``.
        prefix: folder in front of the paths of lists.

    Raises:
        DataError: one is not there or has none of these forms, or holds no samples.
    """
    entries: list[Entry] = []
    notes: list[str] = []
    for source in sources:
        if source.is_dir():
            found, noted = _read_folder(source)
            notes += noted
        elif not source.exists():
            raise DataError(
                f"{source}: no such file or folder; expected a list, a folder of videos or a config"
            )
        elif source.suffix.lower() in (".csv", ".tsv"):
            found = _read_csv(source)
        else:
            found = _read_list(source, prefix)
        entries += found
    title = ", ".join(map(str, sources))
    return Listing(title, tuple(entries), _classes_of(entries), tuple(notes))


def _classes_of(entries: Sequence[Entry]) -> tuple[str, ...]:
    labels = {entry.label for entry in entries if entry.label}
    return tuple(sorted(labels, key=lambda label: (len(label) if label.isdigit() else 0, label)))


def _read_list(file: Path, prefix: str | None) -> list[Entry]:
    split = split_named(file.stem) or file.stem
    return [
        Entry(Path(record.path), str(record.label), split, record.where, record.label)
        for record in read_list(file, prefix)
    ]


def _read_csv(file: Path) -> list[Entry]:
    text = read_text(file, f"CSV file {file}", DataError, "list_bytes")
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    entries = []
    try:
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
        columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        if "path" not in columns:
            raise DataError(
                f"{file}:1: there is no column path; a CSV needs a first line path,label[,split]"
            )
        for row in reader:
            where = f"{file}:{reader.line_num}"
            fields = {key: (row[name] or "").strip() for key, name in columns.items()}
            if not fields["path"]:
                raise DataError(f"{where}: the path is empty; fill it in, or delete the line")
            check_path(fields["path"], where)
            stated = fields.get("split") or file.stem
            split = split_named(stated) or stated
            label = same_form(fields.get("label", ""))[:200]
            entries.append(Entry(file.parent / fields["path"], label, split, where))
    except csv.Error as error:
        raise DataError(f"{file}: is not CSV: {error}; check the quotes") from None
    if not entries:
        raise DataError(f"{file}: lists no videos")
    return entries


def _read_folder(root: Path) -> tuple[list[Entry], list[str]]:
    """Files below folders of splits and classes, of classes, or without either."""
    files = files_under(root)
    videos = [file for file in files if file.suffix.lower() in _EXTENSIONS]
    if not videos:
        raise DataError(
            f"{root}: holds no videos with one of the usual extensions (mp4, mov, avi, mkv, ...)"
        )
    parts = [file.relative_to(root).parts for file in videos]
    # "train" may be a class too; beside folders of classes a split has folders in it.
    tops = {each[0] for each in parts if len(each) > 1}
    has_splits = any(len(each) > 2 and split_named(each[0]) == "train" for each in parts) and (
        len({split_named(top) for top in tops} - {None}) > 1 or len(tops) == 1
    )
    entries = []
    for file, each in zip(videos, parts, strict=True):
        split = split_named(each[0]) if has_splits and len(each) > 1 else None
        below = each[1:] if split else each
        label = same_form(below[0]) if len(below) > 1 else ""
        entries.append(Entry(file, label, split or "all", str(file.parent)))
    others = len(files) - len(videos)
    return entries, [f"{root}: {others} files are not taken for videos."] if others else []
