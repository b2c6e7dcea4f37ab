"""Follow a file of JSON lines that another process writes, and may replace by a shorter one."""

import json
import os
from pathlib import Path

from paddlevideo.utils.nodes import Node


class GrowingLines:
    """The mappings that are added to a file; half a line is left until it is whole.

    A file that was replaced, as by a training that resumes, is read from its beginning.

    Args:
        path: of the file, which need not be there yet.
        from_now: pass over what is in it already.
    """

    def __init__(self, path: Path, from_now: bool = False) -> None:
        self.path = path
        self._file = 0  # the number that the system has given it
        self._position = 0
        if from_now and path.is_file():
            status = path.stat()
            self._file, self._position = status.st_ino, status.st_size

    def new(self) -> list[Node]:
        """What was added since the last call; a line that is no mapping is left out."""
        try:
            with self.path.open("rb") as file:
                number = os.fstat(file.fileno()).st_ino
                if number != self._file:
                    self._file, self._position = number, 0
                file.seek(self._position)
                whole, newline, _rest = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._position += len(whole) + len(newline)
        return [line for text in whole.split(b"\n") if (line := _mapping_of(text)) is not None]


def _mapping_of(text: bytes) -> Node | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
