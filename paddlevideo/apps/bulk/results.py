"""Files of results, JSON lines or CSV by their name, one row per video; a second run goes on."""

import contextlib
import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from paddlevideo.apps.bulk.prediction import VideoFailure
from paddlevideo.runtime.predictor import VideoResult
from paddlevideo.runtime.streams.timeline import StreamResult
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import atomic_write

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

_STREAM_COLUMNS = ["time_seconds", "label", "index", "score", "latency_ms"]


class _RowFile:
    """A file that is written row by row, as JSON lines or, by its name, as CSV.

    Args:
        path: made, with its folder, if missing.
        mode: ``w`` or ``a``.
        columns: of a CSV; its header is written if the file is empty.

    Raises:
        DataError: it cannot be written.
    """

    def __init__(self, path: Path, mode: str, columns: Sequence[str]) -> None:
        self.path = path
        self._columns = columns
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open(mode, encoding="utf-8", newline="")
            if is_csv(path) and path.stat().st_size == 0:
                self._put(dict(zip(columns, columns, strict=True)))
        except OSError as error:
            raise DataError(f"--output {path} cannot be written: {error.strerror}") from None

    def write_row(self, row: Mapping[str, object]) -> None:
        """Write a row that is there even if the program is ended right after.

        Raises:
            DataError: it cannot be written, as on a full disk; the rows before it are there.
        """
        try:
            self._put(row)
        except OSError as error:
            self._close()
            raise DataError(
                f"--output {self.path} cannot be written: {error.strerror}; the lines before are "
                "whole, and the same command goes on behind them"
            ) from None

    def _put(self, row: Mapping[str, object]) -> None:
        self._file.write(_line(self.path, self._columns, row))
        self._file.flush()

    def _close(self) -> None:
        """Close the file; what could not be written is not tried again."""
        with contextlib.suppress(OSError):
            self._file.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()


def is_csv(path: Path) -> bool:
    """Whether results go there as CSV; JSON lines otherwise."""
    return path.suffix.lower() == ".csv"


def _line(path: Path, columns: Sequence[str], row: Mapping[str, object]) -> str:
    """A row as the file holds it, its end of line included."""
    if not is_csv(path):
        return json.dumps(row, ensure_ascii=False) + "\n"
    buffer = io.StringIO()
    csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n").writerow(row)
    return buffer.getvalue()


class StreamFile(_RowFile):
    """The steps of one stream; an older file is replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w", _STREAM_COLUMNS)

    def write(self, result: StreamResult) -> None:
        """One row for one step."""
        self.write_row(result.as_dict())


class ResultFile(_RowFile):
    """Results of many video files, failures among them; an older file is gone on with.

    Each row says what it is of: the bundle, and the size and time of the video. Rows of another
    bundle or of a video that has changed are taken out, with a warning, and made anew; so is a
    last row that was not written to its end.

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
        self._identity = {"bundle": bundle, "top_k": top_k}
        columns = ["file", "error", "frames_read", "frames_lost"]
        for rank in range(1, top_k + 1):
            columns += [f"label_{rank}", f"index_{rank}", f"score_{rank}"]
        columns += ["bundle", "video_bytes", "video_mtime_ns"]
        rows = self._rows_to_keep(path, columns)
        self.done = Counter(str(row["file"]) for row in rows)
        super().__init__(path, "a", columns)

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
        """One row for one file."""
        row: dict[str, object] = {**result.as_dict(), **self._identity, **_identity_of(result.path)}
        if is_csv(self.path):
            row["error"] = " ".join(str(row.get("error", "")).split())
            for rank, item in enumerate(result.top if isinstance(result, VideoResult) else (), 1):
                row |= {f"label_{rank}": item.label, f"index_{rank}": item.index}
                row[f"score_{rank}"] = item.score
        self.write_row(row)

    def _rows_to_keep(self, path: Path, columns: Sequence[str]) -> list[dict[str, object]]:
        """What an older file has of this bundle and these videos; the rest is taken out of it."""
        try:
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            rows = _rows_of(path, whole.decode("utf-8"), columns)
            # What is cut off was written by us: every row of ours begins alike.
            if data and not whole and not data.startswith((b'{"file"', b"file,error")):
                raise ValueError
            kept = [row for row in rows if self._is_current(row, is_csv(path))]
            if len(whole) < len(data):
                logger.warning("%s: its last line is cut short and is written anew", path)
            if len(kept) < len(rows):
                logger.warning(
                    "%s: %d of %d results are of another bundle, another --top_k or of videos "
                    "that have changed since; these files are classified anew",
                    path,
                    len(rows) - len(kept),
                    len(rows),
                )
            if len(whole) < len(data) or len(kept) < len(rows):
                with atomic_write(path) as file:
                    header: list[dict[str, object]] = (
                        [{c: c for c in columns}] if is_csv(path) else []
                    )
                    for row in [*header, *kept]:
                        file.write(_line(path, columns, row).encode())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(f"--output {path} cannot be written: {error.strerror}") from None
        except (ValueError, csv.Error):
            raise DataError(f"--output {path} is no file of results; name another one") from None
        return kept

    def _is_current(self, row: Mapping[str, object], of_csv: bool) -> bool:
        """Whether a row is what would be written today; the values of a CSV are texts."""
        identity = {**self._identity, **_identity_of(str(row["file"]))}
        if of_csv:
            del identity["top_k"]  # its columns tell
        return all(
            key in row and _as_text(row[key]) == _as_text(value) for key, value in identity.items()
        )


def _as_text(value: object) -> str:
    return "" if value is None else str(value)


def _identity_of(file: str) -> dict[str, int | None]:
    """What tells whether a video is the one that was classified."""
    try:
        status = Path(file).stat()
    except (OSError, ValueError):
        return {"video_bytes": None, "video_mtime_ns": None}
    return {"video_bytes": status.st_size, "video_mtime_ns": status.st_mtime_ns}


def _rows_of(path: Path, text: str, columns: Sequence[str]) -> list[dict[str, object]]:
    """The rows of an older file.

    Raises:
        DataError: a row is no result, or the columns are others.
    """
    if is_csv(path):
        header, *rows = csv.reader(io.StringIO(text, newline="")) if text else [list(columns)]
        if header != columns:
            raise DataError(
                f"--output {path} has other columns ({','.join(header[:6])[:100]} ...) than these "
                "results; another --top_k has others too; name another file"
            )
        return [dict(zip(columns, row, strict=False)) for row in rows if row]
    entries = []
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
            raise DataError(f"--output {path}: line {number} is no result; name another file")
        entries.append(entry)
    return entries
