"""The videos of a user: which files there are, of which class, and in which split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.utils.errors import DataError, nearest_hint

TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)
_OTHER_NAMES = {"valid": VAL, "validation": VAL}
SPLIT_NAMES = (*SPLITS, *_OTHER_NAMES)
MOST_NAMED = 5  # files or classes that one sentence names


@dataclass(frozen=True)
class VideoRecord:
    """One video.

    Attributes:
        path: the file.
        class_name: its class, in composed Unicode form (NFC).
        split: ``train``, ``val`` or ``test``; None where the user states none.
        group: what the user says was filmed together, such as a person; None where unstated.
        where: the folder, or the file and line, that lists it.
    """

    path: Path
    class_name: str
    split: str | None = None
    group: str | None = None
    where: str = ""


@dataclass(frozen=True)
class OwnVideos:
    """What `read_videos` finds.

    Attributes:
        path: what was read.
        records: sorted by split, class and path for folders; in the order of a CSV's lines.
        class_names: sorted; the number of a class is its index. The same for all splits.
        notes: sentences on what was left out or looks odd.
    """

    path: Path
    records: tuple[VideoRecord, ...]
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def split_named(name: str) -> str | None:
    """The split that a folder or a word names: ``valid`` and ``validation`` are ``val``."""
    lower = name.strip().lower()
    return _OTHER_NAMES.get(lower, lower if lower in SPLITS else None)


def named(names: Sequence[object], most: int = MOST_NAMED) -> str:
    """The first ``most`` names, each cut to 200 characters, and how many more there are."""
    listed = ", ".join(str(name)[:200] for name in names[:most])
    more = len(names) - most
    return f"{listed} and {more} more" if more > 0 else listed


def check_classes(path: Path, records: Sequence[VideoRecord]) -> tuple[str, ...]:
    """Return the sorted class names.

    Raises:
        DataError: fewer than two classes, or a class of val or test that train does not have.
    """
    names = tuple(sorted({record.class_name for record in records}))
    if len(names) < 2:
        raise DataError(
            f"{path}: its videos are all of one class ({names[0][:100]}); a classifier needs at "
            "least two, such as a class of everything else"
        )
    if any(record.split is not None for record in records):
        trained = {record.class_name for record in records if record.split in (TRAIN, None)}
        if not trained:
            raise DataError(f"{path}: no videos for training; put some into the split train")
        for record in records:
            if record.class_name not in trained:
                raise DataError(
                    f"{record.where}: the class {record.class_name[:100]} is in {record.split} and "
                    "not in train; rename it, or add videos of it to train; "
                    f"{nearest_hint(record.class_name, trained)[:300]}"
                )
    return names
