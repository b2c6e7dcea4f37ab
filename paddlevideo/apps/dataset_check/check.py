"""`check_listing`: decode every file once, several at a time, and say what was found."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from paddlevideo.apps.dataset_check.finding import MOST_COMPARED, find
from paddlevideo.apps.dataset_check.findings import Finding
from paddlevideo.apps.dataset_check.listing import Entry, Listing
from paddlevideo.apps.dataset_check.result import CheckResult
from paddlevideo.apps.own_videos.file_scan import FileScan, Fingerprint, no_fingerprint, scan_file
from paddlevideo.apps.own_videos.scanning import scan_files
from paddlevideo.utils.progress import track

# Of 256 bytes each, over all files: a gigabyte.
_MOST_THUMBNAILS = 4_000_000

Scanner = Callable[[Sequence[Path], int | None], Iterator[FileScan]]
Judge = Callable[[int, Entry, FileScan], Iterator[Finding]]


def check_listing(
    listing: Listing,
    workers: int | None = None,
    scanner: Scanner | None = None,
    judge: Judge | None = None,
) -> CheckResult:
    """Check the samples of a listing.

    Args:
        listing: what is checked.
        workers: processes; None: one for each core.
        scanner: yields what the files hold; by default they are videos (`scan_videos`).
        judge: more findings about a sample, of its index, entry and scan.

    Raises:
        PaddleVideoError: the processes do not start.
    """
    paths = list(dict.fromkeys(entry.path for entry in listing.entries))
    scanned = (scanner or scan_videos)(paths, workers)
    by_path = {scan.path: scan for scan in track(scanned, len(paths), "check")}
    scans = [by_path[entry.path] for entry in listing.entries]
    found = find(listing.entries, scans)
    if judge is not None:
        for index, (entry, scan) in enumerate(zip(listing.entries, scans, strict=True)):
            found += judge(index, entry, scan)
    return CheckResult(listing, tuple(scans), tuple(found))


def scan_videos(paths: Sequence[Path], workers: int | None) -> Iterator[FileScan]:
    """Yield what each video holds; of many, fewer pictures each are kept to be compared."""
    is_compared = len(paths) <= MOST_COMPARED
    most = _MOST_THUMBNAILS // max(1, len(paths)) if is_compared else 0
    return scan_files(paths, workers, partial(_scan_thinned, most))


def _scan_thinned(most: int, path: Path) -> FileScan:
    scan = scan_file(path)
    prints = scan.fingerprint
    if most == 0:
        return replace(scan, fingerprint=no_fingerprint())
    step = -(-len(prints.times_seconds) // most)
    if step <= 1:
        return scan
    thinned = Fingerprint(
        prints.pictures[::step], prints.times_seconds[::step], prints.first, prints.last
    )
    return replace(scan, fingerprint=thinned)
