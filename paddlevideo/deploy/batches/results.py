"""Files of results, JSON lines or CSV, a line a file: gone on with after an interruption."""

import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from paddlevideo.deploy.batches.prediction import VideoFailure
from paddlevideo.deploy.predictor import VideoResult
from paddlevideo.deploy.streams.session_track import StreamResult
from paddlevideo.utils.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

_STREAM_COLUMNS = ["time_seconds", "label", "index", "score", "latency_ms"]


class _LineFile:
    """A file that is written line by line, JSON lines or (by its name) CSV.

    Args:
        path: made, with its folder, if missing.
        mode: ``w`` or ``a``.

    Raises:
        DataError: it cannot be written.
    """

    def __init__(self, path: Path, mode: str) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open(mode, encoding="utf-8", newline="")
        except OSError as error:
            raise DataError(f"--output {path} cannot be written: {error.strerror}") from None

    def write_line(self, line: str) -> None:
        """Write a line that is there even if the program is ended right after."""
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise DataError(f"--output {self.path} cannot be written: {error.strerror}") from None

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def is_csv(path: Path) -> bool:
    """Whether results go there as CSV; JSON lines otherwise."""
    return path.suffix.lower() == ".csv"


class StreamFile(_LineFile):
    """The steps of one stream; an older file is replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w")
        if is_csv(path):
            self.write_line(_csv_line(_STREAM_COLUMNS))

    def write(self, result: StreamResult) -> None:
        """One line for one step."""
        values = result.as_dict()
        if is_csv(self.path):
            self.write_line(_csv_line([values[column] for column in _STREAM_COLUMNS]))
        else:
            self.write_line(json.dumps(values, ensure_ascii=False))


class ResultFile(_LineFile):
    """Results of many video files, failures among them; an older file is gone on with.

    A CSV has the columns ``file, error, label_1, index_1, score_1, label_2, ...``.

    Args:
        top_k: classes of a result.

    Attributes:
        done: how often each file is in it already, as a result or a failure.

    Raises:
        DataError: it cannot be written, or an older file is none of such results.
    """

    def __init__(self, path: Path, top_k: int) -> None:
        self._top_k = top_k
        self._columns = ["file", "error"]
        for rank in range(1, top_k + 1):
            self._columns += [f"label_{rank}", f"index_{rank}", f"score_{rank}"]
        self.done = self._read_done(path)
        super().__init__(path, "a")
        if is_csv(path) and path.stat().st_size == 0:
            self.write_line(_csv_line(self._columns))

    def remaining(self, paths: Sequence[Path]) -> list[Path]:
        """The files that are not in it yet; the log says how many are."""
        left = Counter(self.done)
        remaining = []
        for path in paths:
            if left[str(path)] > 0:
                left[str(path)] -= 1
            else:
                remaining.append(path)
        if skipped := len(paths) - len(remaining):
            logger.info(
                "%d of %d files are in %s already and are skipped; delete it to classify them anew",
                skipped,
                len(paths),
                self.path,
            )
        return remaining

    def write(self, result: VideoResult | VideoFailure) -> None:
        """One line for one file."""
        if not is_csv(self.path):
            self.write_line(json.dumps(result.as_dict(), ensure_ascii=False))
            return
        if isinstance(result, VideoFailure):
            row: list[Any] = [result.path, " ".join(result.reason.split())]
        else:
            row = [result.path, ""]
            for item in result.top:
                row += ["" if item.label is None else item.label, item.index, item.score]
        row += [""] * (len(self._columns) - len(row))
        self.write_line(_csv_line(row))

    def _read_done(self, path: Path) -> Counter[str]:
        try:
            text = _repaired(path)
        except FileNotFoundError:
            return Counter()
        except OSError as error:
            raise DataError(f"--output {path} cannot be written: {error.strerror}") from None
        except UnicodeDecodeError:
            raise DataError(f"--output {path} is no file of results; name another one") from None
        return Counter(self._files_in_csv(path, text) if is_csv(path) else _files_in(path, text))

    def _files_in_csv(self, path: Path, text: str) -> list[str]:
        rows = list(csv.reader(io.StringIO(text, newline="")))
        if rows and rows[0] != self._columns:
            raise DataError(
                f"--output {path} has other columns ({','.join(rows[0][:6])} ...) than results of "
                f"--top_k {self._top_k}; name another file"
            )
        return [row[0] for row in rows[1:] if row]


def _files_in(path: Path, text: str) -> list[str]:
    files = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            entry = None
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
            raise DataError(f"--output {path}: line {number} is no result; name another file")
        files.append(entry["file"])
    return files


def _repaired(path: Path) -> str:
    """The text of an older file, without a last line that was not written to its end."""
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    text = whole.decode("utf-8")
    if len(whole) < len(data):
        # What is cut off was written by us: every line of ours begins alike.
        if not whole and not data.startswith((b'{"file"', b"file,error")):
            raise DataError(f"--output {path} is no file of results; name another one")
        logger.warning("%s: its last line is cut short and is written anew", path)
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return text


def _csv_line(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()
