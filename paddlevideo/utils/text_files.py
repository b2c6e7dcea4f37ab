"""Read a text or JSON file of unknown origin: a limit of bytes, UTF-8, and one kind of error."""

import json
import stat
from pathlib import Path
from typing import Any

from paddlevideo.utils.errors import ConfigError, PaddleVideoError
from paddlevideo.utils.limits import how_to_raise, limit


def read_text(
    path: str | Path,
    subject: str,
    error: type[PaddleVideoError] = ConfigError,
    bytes_limit: str = "config_bytes",
) -> str:
    """Return the text of a regular file without its byte order mark, newlines as ``\\n``.

    Args:
        path: the file.
        subject: what it is, with its name, for the message.
        error: the kind of error that is raised.
        bytes_limit: the row of `limits` that holds for it.

    Raises:
        PaddleVideoError: ``error``: the file is missing, no regular file, too large or not UTF-8.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # a device or pipe may never end
            what = "it is a folder" if Path(path).is_dir() else "it is no regular file"
            raise error(f"{subject} cannot be read: {what}")
        with Path(path).open("rb") as file:
            content = file.read(int(limit(bytes_limit)) + 1)
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the name
        reason = getattr(problem, "strerror", None) or str(problem)
        raise error(f"{subject} cannot be read: {reason}") from None
    if len(content) > limit(bytes_limit):
        raise error(f"{subject} cannot be read: it is too large; {how_to_raise(bytes_limit)}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise error(f"{subject} cannot be read: not UTF-8 text (line {line})") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(
    path: str | Path,
    subject: str,
    error: type[PaddleVideoError] = ConfigError,
    bytes_limit: str = "config_bytes",
) -> Any:
    """Return what a JSON file holds.

    Args:
        path, subject, error, bytes_limit: as `read_text`.

    Raises:
        PaddleVideoError: ``error``: as `read_text`, or the text is no JSON or nests too deep.
    """
    try:
        return json.loads(read_text(path, subject, error, bytes_limit))
    except (ValueError, RecursionError) as problem:
        raise error(f"{subject} is not valid JSON: {str(problem)[:200]}") from None
