"""`check_videos`: read, scan, find sources, split; all that is done before training."""

from collections.abc import Callable
from pathlib import Path

from paddlevideo.apps.own_videos.data_check import DataCheck
from paddlevideo.apps.own_videos.reading import read_videos
from paddlevideo.apps.own_videos.records import check_classes, named
from paddlevideo.apps.own_videos.scanning import scan
from paddlevideo.apps.own_videos.sources import find_sources
from paddlevideo.apps.own_videos.splitting import split
from paddlevideo.utils.errors import DataError


def check_videos(
    path: str | Path,
    share: float = 0.2,
    pattern: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> DataCheck:
    """Check a user's videos and split them where they are not split.

    Args:
        path: as `read_videos` takes it.
        share: of each class for val.
        pattern: a regular expression that finds the recording or person in a path (``--group``).
        seed: of the split.
        workers: processes that decode; None: one for each core.
        on_progress: called with the number of files that are done, and of all.

    Raises:
        DataError: as `read_videos`; fewer than two classes have videos that can be read; the
            pattern is no regular expression; or there is nothing left to validate with.
    """
    videos = read_videos(path)
    scans = scan(videos.records, workers, on_progress)
    kept = tuple(index for index, found in enumerate(scans) if found.is_usable)
    if not kept:
        reasons = named([f"{found.path}: {found.reason}" for found in scans], 3)
        raise DataError(f"{path}: not one of its videos can be read: {reasons}")
    records = [videos.records[index] for index in kept]
    readable = {record.class_name for record in records}
    gone = [name for name in videos.class_names if name not in readable]
    if gone:
        raise DataError(
            f"{path}: no video of {named(gone)} can be read, such as "
            f"{next(f'{s.path}: {s.reason}' for s in scans if s.reason)}; replace the files, or "
            "take the class out"
        )
    check_classes(videos.path, records)
    sources = find_sources(records, [scans[index] for index in kept], pattern)
    return DataCheck(videos, tuple(scans), kept, sources, split(records, sources, share, seed))
