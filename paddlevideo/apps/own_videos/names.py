"""What file names say about footage: which videos are windows of one recording."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from paddlevideo.apps.own_videos.records import VideoRecord
from paddlevideo.utils.errors import DataError, shown


class Mark(Enum):
    """How clearly a name says that the video is a window of a recording.

    ``WINDOW``: it says so (``x_f0064``, ``x-part2``). ``NUMBERED``: it may (``x_001``).
    ``COUNTED``: the number is more likely that of a take (``video7``, ``IMG_0007``).
    """

    WINDOW = 3
    NUMBERED = 2
    COUNTED = 1


@dataclass(frozen=True)
class WindowName:
    """A name taken apart: ``id004_s4R_f0128`` is window 128 of ``id004_s4r``."""

    recording: str
    number: int
    mark: Mark


_WINDOW_WORDS = "f|fr|frame|frames|part|pt|win|window|seg|segment|chunk|piece|slice|offset"
_SEPARATOR = r"[\s_.\-]+"
_FORMS = (
    # Kinetics: first and last second; UCF: a clip of a group.
    (re.compile(r"(.*\D|.{8,})[_-](\d{6})[_-]\d{6}", re.S), Mark.WINDOW),
    (re.compile(r"(.+_g\d{2})_c(\d{2})", re.S), Mark.WINDOW),
    (re.compile(rf"(.+?){_SEPARATOR}(?:{_WINDOW_WORDS})[\s_.\-]*(\d{{1,12}})", re.S), Mark.WINDOW),
    (re.compile(rf"(.+?){_SEPARATOR}(0\d{{1,5}}|\d{{3,4}})", re.S), Mark.NUMBERED),
    (re.compile(r"(.+?)[\s_.\-]*\(?(\d{1,12})\)?", re.S), Mark.COUNTED),
)
# What cameras and people put in front of the number of a take.
_TAKES = re.compile(
    r"(img|vid|video|mov|movie|mvi|dsc|dscn|dscf|gopr|gh|gx|gp|pxl|dji|wp|clip|film|file|capture|"
    r"camera|cam|rec|recording|record|take|trial|sample|screen|webcam|untitled|whatsapp|signal|"
    r"example|test|c|p|v|m|mah|sam|imag)?\d*"
)
_DATE = re.compile(r"(19|20)\d{2}[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])")


def window_name(record: VideoRecord) -> WindowName | None:
    """Take the name of a video apart; None where it has no number at its end."""
    stem = record.path.stem.lower()
    for form, mark in _FORMS:
        match = form.fullmatch(stem)
        if match is None:
            continue
        recording, number = match[1], int(match[2])
        is_dated = _DATE.search(stem) is not None
        if mark is Mark.WINDOW and form is _FORMS[0][0] and (is_dated or _is_take(recording)):
            continue  # VID_20240101_120000, or two times of a day
        if mark is Mark.NUMBERED and (is_dated or _is_take(recording) or _is_class(record)):
            mark = Mark.COUNTED
        return WindowName(recording, number, mark)
    return None


def _is_take(recording: str) -> bool:
    return _TAKES.fullmatch(re.sub(r"[\s_.\-]+", "", recording)) is not None


def _is_class(record: VideoRecord) -> bool:
    """Whether the name is that of the class and a number, as in ``jump/jump_001.mp4``."""
    plain = [
        re.sub(r"[\W_\d]+", "", text.lower()) for text in (record.path.stem, record.class_name)
    ]
    return plain[0] == plain[1]


def groups_by_pattern(records: Sequence[VideoRecord], pattern: str) -> list[str | None]:
    """What a regular expression finds in each path: its first group, or all that it matches.

    None for paths in which it finds nothing. Paths have ``/`` between folders.

    Raises:
        DataError: the pattern is no regular expression, or is found in none of the paths.
    """
    try:
        form = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise DataError(
            f"--group {shown(pattern)} is no regular expression: {error}; for names such as "
            "anna_03.mp4 it could be '([a-z]+)_[0-9]+'"
        ) from None
    found = [_found(form, record.path) for record in records]
    if records and not any(found):
        raise DataError(
            f"--group {shown(pattern)} is found in none of the paths, such as {records[0].path}"
        )
    return found


def _found(form: "re.Pattern[str]", path: Path) -> str | None:
    match = form.search(path.as_posix())
    if match is None:
        return None
    return (match[1] if form.groups else match[0]) or None
