"""Which files of a folder are videos: one list of extensions, and one walk that follows links."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from paddlevideo.utils.errors import DataError

logger = logging.getLogger(__name__)

VIDEO_EXTENSIONS = (
    *("3g2", "3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "gif", "m1v", "m2t", "m2ts", "m2v"),
    *("m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpe", "mpeg", "mpg", "mts", "mxf", "ogg"),
    *("ogm", "ogv", "qt", "rm", "rmvb", "ts", "vob", "webm", "wmv", "y4m"),
)
_ARCHIVE_REMAINS = "__MACOSX"


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's data: ``._x.mp4``, ``.git``, ``__MACOSX``."""
    return name.startswith(".") or name == _ARCHIVE_REMAINS


def files_under(folder: Path) -> list[Path]:
    """Return the files in ``folder`` and its subfolders, sorted; links are followed.

    Hidden names are left out at any depth. A folder that several links lead to is read once, so a
    loop of links ends; a file that is linked to counts under each of its names. Links that lead
    nowhere are warned of.

    Raises:
        DataError: a folder cannot be read.
    """
    files: list[Path] = []
    dangling: list[Path] = []
    for entry in _visible_entries(folder):
        if entry.is_file():
            files.append(entry)
        elif entry.is_symlink() and not entry.exists():
            dangling.append(entry)
    if dangling:
        logger.warning(
            "%s: %d links lead nowhere and are left out: %s%s",
            folder,
            len(dangling),
            ", ".join(map(str, dangling[:3])),
            " ..." if len(dangling) > 3 else "",
        )
    return sorted(files)


def _visible_entries(folder: Path) -> Iterator[Path]:
    """Everything below ``folder`` but folders; those that are reached twice are read once."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename or folder}: cannot be read: {error.strerror}")

    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (Path(parent, name) for name in names if not is_hidden(name))
