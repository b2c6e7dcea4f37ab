"""`FolderDataset`: a folder of class folders, no list file."""

import logging
from collections import Counter
from pathlib import Path

from paddlevideo.loader.dataset.base import DATASETS, ClipDataset, ReadingContext
from paddlevideo.loader.sample import Record
from paddlevideo.utils.errors import DataError

logger = logging.getLogger(__name__)

VIDEO_EXTENSIONS = (
    *("3gp", "avi", "flv", "gif", "m4v", "mkv", "mov", "mp4"),
    *("mpeg", "mpg", "mts", "ogv", "ts", "webm", "wmv"),
)
CLASSES_FILE = "classes.txt"


@DATASETS.register
class FolderDataset(ClipDataset):
    """Videos laid out as ``root/<class>/.../<video>``; the label is the class's number.

    Classes are numbered in the order of ``classes.txt`` (one name per line) in ``root`` or, so that
    train and val folders agree, in the folder above; without it, the sorted folder names.

    Args:
        root: the folder.
        extensions: which files are videos; by default the usual ones. Others are left out, with a
            warning.
        num_retries: in training, how many others are tried in place of an unreadable video.

    Raises:
        DataError: no such folder, no videos, or a class folder that ``classes.txt`` does not name.
    """

    def __init__(
        self,
        root: str,
        context: ReadingContext,
        extensions: list[str] | None = None,
        num_retries: int = 5,
    ) -> None:
        folder = Path(root)
        if not folder.is_dir():
            raise DataError(f"{root}: no such folder of videos")
        self.class_names = class_names_of(folder)
        wanted = VIDEO_EXTENSIONS if extensions is None else extensions
        dotted = {f".{extension.lower().lstrip('.')}" for extension in wanted}
        records = _find_records(folder, self.class_names, dotted)
        super().__init__(records, root, context, num_retries)


def class_names_of(root: Path) -> list[str]:
    """Return the class names of a folder of class folders, in label order.

    Raises:
        DataError: no class folders, or ``classes.txt`` leaves one out or repeats a name.
    """
    folders = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not folders:
        raise DataError(f"{root}: holds no class folders; expected {root}/<class>/<video>")
    for file in (root / CLASSES_FILE, root.resolve().parent / CLASSES_FILE):
        if file.is_file():
            lines = file.read_text(encoding="utf-8-sig").splitlines()
            names = [line.strip() for line in lines if line.strip()]
            unknown = sorted(set(folders) - set(names))
            if unknown:
                raise DataError(f"{file} does not name the class folder {unknown[0]} of {root}")
            if len(set(names)) < len(names):
                raise DataError(f"{file} names a class twice")
            return names
    return folders


def _find_records(root: Path, class_names: list[str], extensions: set[str]) -> list[Record]:
    records = []
    left_out: Counter[str] = Counter()
    for label, name in enumerate(class_names):
        files = sorted(p for p in (root / name).rglob("*") if p.is_file())
        for file in files:
            if file.suffix.lower() in extensions:
                records.append(Record(str(file), label, str(root / name)))
            elif not file.name.startswith("."):
                left_out[file.suffix or "no extension"] += 1
    if left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        logger.warning("%s: files that are not taken for videos are left out: %s", root, kinds)
    if not records:
        raise DataError(f"{root}: holds no videos ({', '.join(sorted(extensions))})")
    return records
