"""List files: one sample per line, the label last."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

from paddlevideo.utils.errors import DataError, shown
from paddlevideo.utils.text_files import read_text
from paddlevideo.video.sample import Record

logger = logging.getLogger(__name__)

_LONGEST_NAME_BYTES = 255  # of one folder or file, in every common file system
_LONGEST_PATH_BYTES = 4095
# Python reads other digits and underscores too; a list has plain numbers, of at most 18 digits.
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f]")


def read_list(
    file_path: str | Path, data_prefix: str | None, suffix: str = "", counts_frames: bool = False
) -> list[Record]:
    """Read ``path label`` lines, or ``folder num_frames label`` lines with ``counts_frames``.

    Lines are split from the right, so a path may hold blanks. Empty lines are skipped, and
    comments: lines that begin with ``#`` and a blank, or with ``#`` and are no entry. A video may
    be called ``#shorts dance.mp4``. How many comments were skipped is logged.

    Args:
        file_path: UTF-8 text.
        data_prefix: folder put in front of every path.
        suffix: text put behind every path (``.mp4``).

    Raises:
        DataError: the file cannot be read, a line does not have this form, or there is no sample.
    """
    text = read_text(file_path, f"list file {file_path}", DataError, "list_bytes")
    prefix = data_prefix or ""
    records: list[Record] = []
    num_comments = 0
    for number, line in _lines(text):
        if _is_comment(line, counts_frames):
            num_comments += 1
        else:
            where = f"{file_path}:{number}"
            records.append(_record(line, where, prefix, suffix, counts_frames))
    if num_comments:
        logger.info("%s: %d lines are comments and are skipped", file_path, num_comments)
    if not records:
        raise DataError(f"list file {file_path} lists no samples")
    return records


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of the lines that are not blank; nothing but a newline ends one."""
    start = number = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        number += 1
        line = text[start:end].strip()
        if line:
            yield number, line
        start = end + 1


def _is_comment(line: str, counts_frames: bool) -> bool:
    if not line.startswith("#"):
        return False
    return line[1:2] in ("", " ", "\t", "#") or _split(line, counts_frames) is None


def _split(line: str, counts_frames: bool) -> tuple[str, list[int]] | None:
    """Path and numbers of a line; None where it does not have the form of an entry."""
    num_numbers = 2 if counts_frames else 1
    path, *texts = line.rsplit(None, num_numbers)
    if len(texts) != num_numbers:
        return None
    for text in texts:
        if not _NUMBER.fullmatch(text):
            return None
    return path, [int(text) for text in texts]


def _record(line: str, where: str, prefix: str, suffix: str, counts_frames: bool) -> Record:
    parts = _split(line, counts_frames)
    if parts is None:
        form = "folder num_frames label" if counts_frames else "path label"
        raise DataError(f'{where}: expected "{form}" with whole numbers, got {shown(line)}')
    path, numbers = parts
    num_frames = numbers[0] if counts_frames else None
    if num_frames is not None and num_frames < 1:
        raise DataError(f"{where}: {num_frames} frames; a sample needs at least 1")
    full_path = os.path.join(prefix, path + suffix)  # noqa: PTH118 - keeps "./" paths
    check_path(full_path, where)
    return Record(full_path, numbers[-1], where, num_frames)


def check_path(path: str, where: str) -> None:
    """Raise `DataError` for a path that no file system takes, before it is looked for."""
    if path.isascii() and len(path) <= _LONGEST_NAME_BYTES and path.isprintable():
        return  # nearly all of them
    if _CONTROL.search(path):
        raise DataError(f"{where}: the path {shown(path)} has a control character")
    encoded = path.encode("utf-8", "surrogateescape")
    longest = max(len(part) for part in encoded.split(b"/"))
    if longest > _LONGEST_NAME_BYTES or len(encoded) > _LONGEST_PATH_BYTES:
        raise DataError(
            f"{where}: the path {shown(path)} is too long: a name has at most "
            f"{_LONGEST_NAME_BYTES} bytes, a path {_LONGEST_PATH_BYTES}"
        )
