"""`scan`: every file is opened and decoded once, several at a time."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from paddlevideo.apps.own_videos.file_scan import FileScan, scan_file
from paddlevideo.apps.own_videos.records import VideoRecord
from paddlevideo.utils.cpu_threads import available_cores
from paddlevideo.utils.crew import CrewOptions, Died, Work, for_each_file


def scan(
    records: Sequence[VideoRecord],
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    work: Callable[[Path], FileScan] = scan_file,
) -> list[FileScan]:
    """Return what each record's file holds, in the order of the records.

    Every frame is decoded, by processes of their own; a file that hangs or crashes one is
    unreadable, and the others are not affected. A file that is listed several times is read once.

    Args:
        records: the videos.
        workers: processes; None: one for each core.
        on_progress: called with the number of files that are done, and of all.
        work: reads one file, in a process.

    Raises:
        PaddleVideoError: the processes do not start.
    """
    paths = list(dict.fromkeys(record.path for record in records))
    found: dict[Path, FileScan] = {}
    for result in scan_files(paths, workers, work):
        found[result.path] = result
        if on_progress is not None:
            on_progress(len(found), len(paths))
    return [found[record.path] for record in records]


def scan_files(
    paths: Sequence[Path],
    workers: int | None = None,
    work: Callable[[Path], FileScan] = scan_file,
) -> Iterator[FileScan]:
    """Yield what each file holds, as they become ready; see `scan`."""
    crew = CrewOptions(workers or available_cores(), opening="imported the package")
    for index, result in for_each_file(partial(start_reading, work), paths, crew):
        path = paths[index]
        yield FileScan(path, reason=result.reason) if isinstance(result, Died) else result


def start_reading(work: Callable[[Path], FileScan]) -> Work[FileScan]:
    """In a worker process: read one file after the other."""

    def read(paths: Sequence[Path]) -> Sequence[FileScan]:
        return [work(path) for path in paths]

    return read
