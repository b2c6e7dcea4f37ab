"""`bad_samples.jsonl`: which samples could not be read, one JSON line each."""

import json
import logging
import os
from pathlib import Path

from paddlevideo.video.sample import Record

logger = logging.getLogger(__name__)


class BadSampleLog:
    """Appends ``{"path", "reason", "where"}`` lines; a path at most once per process.

    What the file already names when a process first adds to it is not written again, so neither
    the next epoch's workers nor a resumed run repeat it.

    Several worker processes may write the same file: each line is one write to a file opened for
    appending, which the operating system does not interleave. A file that cannot be written, such
    as on a full disk, is a warning: the samples are replaced all the same.

    Attributes:
        count: samples noted by this process.

    Args:
        file: the file, created with its folder when first needed; None writes nothing.
    """

    def __init__(self, file: str | Path | None) -> None:
        self._file = None if file is None else Path(file)
        self._written: set[str] | None = None
        self.count = 0

    def add(self, record: Record, reason: str) -> bool:
        """Note one unreadable sample; return whether it is new in this process."""
        if self._written is None:
            self._written = self._already_written()
        if record.path in self._written:
            return False
        self._written.add(record.path)
        self.count += 1
        if self._file is not None:
            entry = {"path": record.path, "reason": reason, "where": record.where}
            line = json.dumps(entry, ensure_ascii=False) + "\n"
            self._append(self._file, line)
        return True

    def _append(self, file: Path, line: str) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(handle, line.encode("utf-8"))
            finally:
                os.close(handle)
        except OSError as error:
            logger.warning("%s cannot be written: %s", file, error.strerror)
            self._file = None

    def _already_written(self) -> set[str]:
        if self._file is None or not self._file.is_file():
            return set()
        paths = set()
        for line in self._file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                paths.add(str(json.loads(line)["path"]))
            except (ValueError, KeyError, TypeError):  # a line cut short by a full disk
                continue
        return paths
