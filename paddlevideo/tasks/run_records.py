"""Read what a run left in its folder; a run that was killed leaves half a line at the end."""

import json
from collections.abc import Sequence
from pathlib import Path

from paddlevideo.tasks.run_folder import METRICS_NAME
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.nodes import Node

Line = Node


def read_metrics(folder: Path) -> list[Line]:
    """The lines of ``metrics.jsonl`` since training last began anew.

    Raises:
        DataError: there is no such file, or a line before the last one is no record.
    """
    path = folder / METRICS_NAME
    lines = read_lines(path, "has the run been trained or tested?")
    starts = [index for index, line in enumerate(lines) if line.get("kind") == "start"]
    return lines[starts[-1] if starts else 0 :]


def read_lines(path: Path, hint: str) -> list[Line]:
    """The mappings of a JSON-lines file; a last line that was cut off is left out.

    Args:
        hint: what to ask or to do, at the end of a message.

    Raises:
        DataError: the file cannot be read, or a line before the last one is no mapping.
    """
    try:
        texts = path.read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; {hint}") from None
    found: list[Line] = []
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        line = _mapping_of(text)
        if line is not None:
            found.append(line)
        elif number < len(texts):  # the last one has no newline behind it: it was cut off
            raise DataError(f"{path}:{number} is no JSON record; mend or remove the line")
    return found


def last_of(lines: Sequence[Line], kind: str) -> Line | None:
    """The newest line of a kind; None without any."""
    return next((line for line in reversed(lines) if line.get("kind") == kind), None)


def _mapping_of(text: bytes) -> Line | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
