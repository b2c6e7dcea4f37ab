"""Files of results, JSON lines or CSV, a line a file: gone on with after an interruption."""

import contextlib
import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from paddlevideo.apps.bulk.prediction import VideoFailure
from paddlevideo.runtime.predictor import VideoResult
from paddlevideo.runtime.streams.timeline import StreamResult
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import write_text

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
        """Write a line that is there even if the program is ended right after.

        Raises:
            DataError: it cannot be written, as on a full disk; the lines before it are there.
        """
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self._close()
            raise DataError(
                f"--output {self.path} cannot be written: {error.strerror}; the lines before are "
                "whole, and the same command goes on behind them"
            ) from None

    def _close(self) -> None:
        """Close the file; what could not be written is not tried again."""
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._close()


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

    Each line says what it is of: the bundle, and the size and time of the video. Lines of another
    bundle or of a video that has changed are taken out, with a warning, and made anew.

    A CSV has the columns ``file, error, frames_read, frames_lost, label_1, index_1, score_1,
    label_2, ..., bundle, video_bytes, video_mtime_ns``.

    Args:
        top_k: classes of a result.
        bundle: digest of the bundle that the results are of.

    Attributes:
        done: how often each file is in it already, as a result or a failure.

    Raises:
        DataError: it cannot be written, or an older file is none of such results.
    """

    def __init__(self, path: Path, top_k: int, bundle: str = "") -> None:
        self._path = path
        self._top_k = top_k
        self._identity = {"bundle": bundle, "top_k": top_k}
        self._columns = ["file", "error", "frames_read", "frames_lost"]
        for rank in range(1, top_k + 1):
            self._columns += [f"label_{rank}", f"index_{rank}", f"score_{rank}"]
        self._columns += ["bundle", "video_bytes", "video_mtime_ns"]
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
        identity = {**self._identity, **_identity_of(result.path)}
        if not is_csv(self.path):
            line = {**result.as_dict(), **identity}
            self.write_line(json.dumps(line, ensure_ascii=False))
            return
        row: dict[str, object] = {"file": result.path, **identity}
        if isinstance(result, VideoFailure):
            row["error"] = " ".join(result.reason.split())
        else:
            row |= {"frames_read": result.frames_read, "frames_lost": result.frames_lost}
            for rank, item in enumerate(result.top, start=1):
                row[f"label_{rank}"] = item.label
                row |= {f"index_{rank}": item.index, f"score_{rank}": item.score}
        values = (row.get(column) for column in self._columns)
        self.write_line(_csv_line(["" if value is None else value for value in values]))

    def _read_done(self, path: Path) -> Counter[str]:
        try:
            text = _repaired(path)
        except FileNotFoundError:
            return Counter()
        except OSError as error:
            raise DataError(f"--output {path} cannot be written: {error.strerror}") from None
        except UnicodeDecodeError:
            raise DataError(f"--output {path} is no file of results; name another one") from None
        lines = self._lines_of_csv(path, text) if is_csv(path) else _lines_of(path, text)
        current = [(line, entry) for line, entry in lines if self._is_current(entry)]
        if old := len(lines) - len(current):
            logger.warning(
                "%s: %d of %d results are of another bundle, another --top_k or of videos that "
                "have changed since; these files are classified anew",
                path,
                old,
                len(lines),
            )
            kept = [_csv_line(self._columns)] if is_csv(path) else []
            kept += [line for line, _ in current]
            write_text(path, "".join(f"{line}\n" for line in kept))
        return Counter(str(entry["file"]) for _, entry in current)

    def _is_current(self, entry: Mapping[str, object]) -> bool:
        """Whether a line is what would be written today; the values of a CSV are texts."""
        identity = {**self._identity, **_identity_of(str(entry["file"]))}
        if is_csv(self._path):
            del identity["top_k"]  # its columns tell
        return all(
            key in entry and _as_text(entry[key]) == _as_text(value)
            for key, value in identity.items()
        )

    def _lines_of_csv(self, path: Path, text: str) -> list[tuple[str, dict[str, object]]]:
        rows = list(csv.reader(io.StringIO(text, newline="")))
        if rows and rows[0] != self._columns:
            raise DataError(
                f"--output {path} has other columns ({','.join(rows[0][:6])[:100]} ...) than "
                f"results of --top_k {self._top_k}; name another file"
            )
        return [
            (_csv_line(row), dict(zip(self._columns, row, strict=False))) for row in rows[1:] if row
        ]


def _as_text(value: object) -> str:
    return "" if value is None else str(value)


def _identity_of(file: str) -> dict[str, int | None]:
    """What tells whether a video is the one that was classified."""
    try:
        status = Path(file).stat()
    except (OSError, ValueError):
        return {"video_bytes": None, "video_mtime_ns": None}
    return {"video_bytes": status.st_size, "video_mtime_ns": status.st_mtime_ns}


def _lines_of(path: Path, text: str) -> list[tuple[str, dict[str, object]]]:
    lines = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
            raise DataError(f"--output {path}: line {number} is no result; name another file")
        lines.append((line, entry))
    return lines


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


def _csv_line(values: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(values)
    return buffer.getvalue()
