"""List files: one sample per line, the label last."""

import os
from pathlib import Path

from paddlevideo.loader.sample import Record
from paddlevideo.utils.errors import DataError


def read_list(
    file_path: str | Path, data_prefix: str | None, suffix: str = "", counts_frames: bool = False
) -> list[Record]:
    """Read ``path label`` lines, or ``folder num_frames label`` lines with ``counts_frames``.

    Lines are split from the right, so a path may hold blanks. Empty lines and lines that start
    with ``#`` are skipped.

    Args:
        file_path: UTF-8 text.
        data_prefix: folder put in front of every path.
        suffix: text put behind every path (``.mp4``).

    Raises:
        DataError: the file cannot be read, a line does not have this form, or there is no sample.
    """
    try:
        text = Path(file_path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise DataError(f"list file {file_path} cannot be read: {reason}") from None
    records = [
        _record(line.strip(), f"{file_path}:{number}", data_prefix, suffix, counts_frames)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not records:
        raise DataError(f"list file {file_path} lists no samples")
    return records


def _record(
    line: str, where: str, data_prefix: str | None, suffix: str, counts_frames: bool
) -> Record:
    num_numbers = 2 if counts_frames else 1
    path, *texts = line.rsplit(maxsplit=num_numbers)
    try:
        numbers = [int(text) for text in texts]
    except ValueError:
        numbers = []
    if len(numbers) != num_numbers:
        form = "folder num_frames label" if counts_frames else "path label"
        raise DataError(f'{where}: expected "{form}" with whole numbers, got "{line}"')
    num_frames = numbers[0] if counts_frames else None
    if num_frames is not None and num_frames < 1:
        raise DataError(f"{where}: {num_frames} frames; a sample needs at least 1")
    full_path = os.path.join(data_prefix or "", path + suffix)  # noqa: PTH118 - keeps "./" paths
    return Record(full_path, numbers[-1], where, num_frames)
