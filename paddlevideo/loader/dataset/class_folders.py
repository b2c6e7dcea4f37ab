"""Class folders and their names: which number a folder's videos get."""

import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from paddlevideo.utils.errors import DataError, nearest_hint
from paddlevideo.video.video_files import is_hidden

logger = logging.getLogger(__name__)

CLASSES_FILE = "classes.txt"


def same_form(name: str) -> str:
    """The composed Unicode form; systems differ in how they write an accented letter."""
    return unicodedata.normalize("NFC", name)


def class_folders_of(root: Path) -> dict[str, list[Path]]:
    """Return the class folders of ``root`` by class name, in the order of their sorted names.

    Raises:
        DataError: no such folder, or no class folders in it.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder of videos")
    try:
        entries = sorted(root.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise DataError(f"{root}: cannot be read: {error.strerror}") from None
    folders: dict[str, list[Path]] = {}
    for path in entries:
        if is_hidden(path.name):
            continue
        if path.is_dir():
            folders.setdefault(same_form(path.name), []).append(path)
        elif path.is_symlink() and not path.exists():
            logger.warning("%s: this link leads nowhere; it is no class", path)
    if not folders:
        raise DataError(f"{root}: holds no class folders; expected {root}/<class>/<video>")
    return folders


def class_names_of(root: Path) -> list[str]:
    """Return the class names of a folder of class folders, in label order.

    They are those of ``classes.txt``, where there is one, else the sorted names of the folders.

    Raises:
        DataError: no class folders, or ``classes.txt`` leaves one out or repeats a name.
    """
    folders = class_folders_of(root)
    stated = stated_class_names(root)
    if stated is None:
        return list(folders)
    names, file = stated
    check_named(folders, names, root, str(file))
    return names


def stated_class_names(root: Path) -> tuple[list[str], Path] | None:
    """Names from ``classes.txt`` in ``root`` or, so that splits can share one, in the folder above.

    A ``root`` that is a link has two folders above it, that of the link and that of the target.

    Raises:
        DataError: a file cannot be read, repeats a name, or the two above differ.
    """
    own = root / CLASSES_FILE
    if own.is_file():
        return _read_names(own), own
    above = dict.fromkeys((root.absolute().parent, root.resolve().parent))
    files = [folder / CLASSES_FILE for folder in above if (folder / CLASSES_FILE).is_file()]
    if not files:
        return None
    names = _read_names(files[0])
    for other in files[1:]:
        check_same_numbers(_read_names(other), str(other), names, str(files[0]))
    return names, files[0]


def check_named(
    folders: Sequence[str] | dict[str, list[Path]], names: Sequence[str], root: Path, source: str
) -> None:
    """Raise `DataError` for a class folder of ``root`` that is not among ``names``."""
    unknown = [name for name in folders if name not in set(names)]
    if unknown:
        raise DataError(
            f"{source} does not name the class folder {unknown[0][:100]} of {root}; rename the "
            "folder, or add the class to the training data; "
            f"{nearest_hint(unknown[0], names)[:300]}"
        )


def check_same_numbers(
    names: Sequence[str], source: str, expected: Sequence[str], expected_source: str
) -> None:
    """Raise `DataError` where two lists of names give a number to different classes."""
    if list(names) == list(expected):
        return
    for label in range(max(len(names), len(expected))):
        ours = names[label][:100] if label < len(names) else "(none)"
        theirs = expected[label][:100] if label < len(expected) else "(none)"
        if ours != theirs:
            raise DataError(
                f"{source} says that class {label} is {ours}, and {expected_source} says "
                f"{theirs}; all splits need the same classes in the same order"
            )


def _read_names(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}") from None
    names = [same_form(line.strip()) for line in lines if line.strip()]
    repeated = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if repeated is not None:
        raise DataError(f"{file} names a class twice: {repeated[:100]}")
    return names
