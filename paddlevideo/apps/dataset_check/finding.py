"""`find`: what the scans of a listing's files say about its samples."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

from paddlevideo.apps.dataset_check.findings import Finding, Kind
from paddlevideo.apps.dataset_check.listing import Entry
from paddlevideo.apps.own_videos import footage
from paddlevideo.apps.own_videos.file_scan import FileScan
from paddlevideo.apps.own_videos.footage import Match, Pictures

# Beyond it every pair is too many: the work grows with the square, 12000 videos take about 30 min.
MOST_COMPARED = 12_000


def find(entries: Sequence[Entry], scans: Sequence[FileScan]) -> list[Finding]:
    """All findings that need no config, in the order of the samples.

    Args:
        scans: what each entry's file holds.
    """
    found: list[Finding] = []
    for index, scan in enumerate(scans):
        if scan.reason:
            found.append(_unusable(index, scan))
            continue
        if scan.frames_lost:
            share = share_lost(scan)
            text = f"{share:.1%} lost; {scan.damage}"
            found.append(Finding(Kind.DAMAGED, index, text, share=share))
        found += [
            Finding(Kind.ODD, index, f"{odd.kind.value}: {odd.text}") for odd in scan.oddities
        ]
    found += _same_content(entries, scans)
    if is_compared(scans):
        found += _same_footage(entries, scans)
    return found


def is_compared(scans: Sequence[FileScan]) -> bool:
    """Whether the pictures of the files are compared, or there are too many of them."""
    return len({scan.path for scan in scans if scan.is_usable}) <= MOST_COMPARED


def share_lost(scan: FileScan) -> float:
    """The share of a file's frames that cannot be decoded."""
    total = scan.frames_read + scan.frames_lost
    return scan.frames_lost / total if total else 1.0


def _unusable(index: int, scan: FileScan) -> Finding:
    if not scan.has_video:
        return Finding(Kind.NO_PICTURES, index, scan.reason)
    if scan.frames_read:
        return Finding(Kind.TOO_DAMAGED, index, scan.reason, share=share_lost(scan))
    size = scan.num_bytes
    if size is None:  # a folder of frames, or the process that had the file died
        with contextlib.suppress(OSError, ValueError):
            size = scan.path.stat().st_size
    kind = {None: Kind.MISSING, 0: Kind.EMPTY}.get(size, Kind.UNREADABLE)
    return Finding(kind, index, scan.reason)


def _same_content(entries: Sequence[Entry], scans: Sequence[FileScan]) -> Iterator[Finding]:
    """Files of the same bytes, or listed more than once: each against the first of them."""
    first_of: dict[str, int] = {}
    labels: dict[str, dict[str, int]] = defaultdict(dict)
    for index, (entry, scan) in enumerate(zip(entries, scans, strict=True)):
        if scan.reason or not scan.digest:
            continue
        first = first_of.setdefault(scan.digest, index)
        if entry.label:
            labels[scan.digest].setdefault(entry.label, index)
        if first == index:
            continue
        crosses = entry.split != entries[first].split
        kind = Kind.IDENTICAL_ACROSS if crosses else Kind.IDENTICAL
        is_listed_twice = entry.path == entries[first].path
        yield Finding(kind, index, "is listed twice" if is_listed_twice else "is a copy of", first)
    for of_labels in labels.values():
        (label, first), *others = of_labels.items()
        for other, index in others:
            yield Finding(Kind.TWO_LABELS, index, f"is {other} here, and {label} as", first)


def _same_footage(entries: Sequence[Entry], scans: Sequence[FileScan]) -> Iterator[Finding]:
    """Files that show the same frames, re-encoded, scaled, cut or mirrored; not copies."""
    indices: dict[str, int] = {}
    for index, scan in enumerate(scans):
        if scan.is_usable and scan.digest:
            indices.setdefault(scan.digest, index)
    of = list(indices.values())
    pictures = Pictures([scans[index] for index in of])
    seen: set[tuple[int, int]] = set()
    for match in (*pictures.matches(), *pictures.continuations()):
        pair = (min(match.first, match.second), max(match.first, match.second))
        if pair not in seen:
            seen.add(pair)
            yield from _of_match(match, of, entries)


def _of_match(match: Match, of: Sequence[int], entries: Sequence[Entry]) -> Iterator[Finding]:
    first, second = of[match.first], of[match.second]
    one, other = entries[first], entries[second]
    if one.split != other.split:
        yield Finding(Kind.NEAR_ACROSS, first, match.kind.value, second)
    elif match.kind is footage.Kind.GOES_ON:
        yield Finding(Kind.GOES_ON, first, match.kind.value, second)
    else:
        yield Finding(Kind.NEAR, first, match.kind.value, second)
    if match.kind is footage.Kind.GOES_ON or not one.label or not other.label:
        return
    if one.label != other.label:
        text = f"is {one.label}, {match.kind.value}, and that is {other.label}:"
        yield Finding(Kind.TWO_LABELS, first, text, second)
