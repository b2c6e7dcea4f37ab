"""Videos in class folders, with or without folders of splits above them."""

from collections import Counter
from pathlib import Path

from paddlevideo.apps.own_videos.records import TRAIN, VAL, VideoRecord, named, split_named
from paddlevideo.loader.dataset.class_folders import class_folders_of
from paddlevideo.utils.errors import DataError
from paddlevideo.video.video_files import VIDEO_EXTENSIONS, files_under, is_hidden

_EXTENSIONS = frozenset(f".{extension}" for extension in VIDEO_EXTENSIONS)


def read_folder(root: Path) -> tuple[list[VideoRecord], list[str]]:
    """Return the records of a folder, and sentences on what was left out.

    A folder ``train`` beside a folder ``val`` (also ``valid``, ``validation``) or ``test``, or
    alone, holds a split; anything else is a folder of class folders, whatever their names.

    Raises:
        DataError: a folder is missing or cannot be read, holds no class folders or no videos, or
            names a split twice.
    """
    folders = _visible_folders(root)
    splits = _split_folders(root, folders)
    notes: list[str] = []
    if splits is None:
        return _class_folders(root, None, notes), notes
    others = [folder.name for folder in folders if folder not in splits.values()]
    if others:
        notes.append(f"{root}: folders beside the splits are left out: {named(others)}.")
    records: list[VideoRecord] = []
    for split, folder in splits.items():
        # A train folder alone says nothing about a split.
        records += _class_folders(folder, split if len(splits) > 1 else None, notes)
    return records, notes


def _visible_folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror}") from None


def _split_folders(root: Path, folders: list[Path]) -> dict[str, Path] | None:
    """The folder of each split, train first; None where ``root`` holds class folders."""
    found: dict[str, Path] = {}
    for folder in folders:
        split = split_named(folder.name)
        if split is None:
            continue
        if split in found:
            raise DataError(
                f"{root}: both {found[split].name} and {folder.name} are for {split}; keep one"
            )
        found[split] = folder
    has_classes = TRAIN in found and bool(_visible_folders(found[TRAIN]))
    if not has_classes or (VAL not in found and len(found) < len(folders)):
        return None  # classes may be called so: "train" and "bus"
    return {split: found[split] for split in (TRAIN, VAL, "test") if split in found}


def _class_folders(root: Path, split: str | None, notes: list[str]) -> list[VideoRecord]:
    records: list[VideoRecord] = []
    others: Counter[str] = Counter()
    empty: list[str] = []
    for name, folders in sorted(class_folders_of(root).items()):
        before = len(records)
        for folder in folders:
            for file in files_under(folder):
                if file.suffix.lower() in _EXTENSIONS:
                    records.append(VideoRecord(file, name, split, None, str(folder)))
                else:
                    others[file.suffix.lower() or "no extension"] += 1
        if len(records) == before:
            empty.append(name)
    if not records:
        raise DataError(
            f"{root}: holds no videos; expected {root}/<class>/<video>, with one of the usual "
            "extensions (mp4, mov, avi, mkv, webm, ...)"
        )
    _note_what_is_left_out(root, others, empty, notes)
    return records


def _note_what_is_left_out(
    root: Path, others: Counter[str], empty: list[str], notes: list[str]
) -> None:
    if empty:
        notes.append(f"{root}: folders without videos are no classes: {named(empty)}.")
    if others:
        kinds = named([f"{count} {kind[:20]}" for kind, count in sorted(others.items())])
        notes.append(f"{root}: files that are not taken for videos are left out: {kinds}.")
    stray = [
        path.name
        for path in sorted(root.iterdir())
        if path.suffix.lower() in _EXTENSIONS and not is_hidden(path.name) and path.is_file()
    ]
    if stray:
        notes.append(f"{root}: videos in no class folder are left out: {named(stray)}.")
