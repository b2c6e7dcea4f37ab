"""ActivityNet: ``activity_net.v1-3.min.json``; each window of an activity becomes a clip.

``database`` maps an id, after which ``v_<id>.mp4`` is called, to its ``subset`` and its
``annotations``, a ``label`` and a ``segment`` of begin and end in seconds each.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pydantic

from paddlevideo.apps.prepare.annotations import (
    Annotated,
    Annotations,
    files_named,
    sorted_names,
    split_of,
)
from paddlevideo.utils.errors import DataError, shown
from paddlevideo.utils.text_files import read_json


class Window(pydantic.BaseModel):
    """One activity.

    Attributes:
        segment: begin and end in seconds.
    """

    label: str
    segment: tuple[float, float]


def read_activitynet(paths: Sequence[Path], fold: int) -> Annotations:
    """Read the annotations; of a video of the test subset, which has none, nothing is made.

    Args:
        fold: there is only one, 1.

    Raises:
        DataError: no file, or one of another form.
    """
    samples: list[Annotated] = []
    without_label: Counter[str] = Counter()
    for path in files_named(paths, "*.json", "activity_net.v1-3.min.json"):
        content = read_json(path, f"annotation file {path}", DataError, "list_bytes")
        database = content.get("database") if isinstance(content, dict) else None
        if not isinstance(database, dict):
            raise DataError(f'{path}: expected a mapping "database" of videos')
        for name, entry in database.items():
            where = f"{path}: {shown(name)}"
            split = split_of(str(entry.get("subset", ""))) if isinstance(entry, dict) else None
            if split is None:
                raise DataError(f"{where}: expected a subset: training, validation or testing")
            windows = entry.get("annotations") or []
            without_label[split] += not windows
            samples += _windows(name, windows, split, where)
    left_out = {split: count for split, count in without_label.items() if count}
    return Annotations(sorted_names(samples), samples, left_out)


def _windows(name: str, windows: object, split: str, where: str) -> Iterator[Annotated]:
    try:
        listed = [Window.model_validate(window) for window in _list_of(windows)]
    except pydantic.ValidationError:
        raise DataError(f'{where}: expected annotations [{{"label", "segment"}}]') from None
    for window in listed:
        start, end = window.segment
        if not 0 <= start < end < 1e6:
            raise DataError(f"{where}: a segment from {start} to {end} seconds is none")
        names = (f"v_{name}", name)
        yield Annotated(names, window.label, split, where, (split,), window.segment)


def _list_of(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
