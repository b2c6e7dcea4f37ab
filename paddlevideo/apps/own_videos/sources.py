"""`find_sources`: which videos are of the same footage, and must be on the same side of a split."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from paddlevideo.apps.own_videos.file_scan import FileScan
from paddlevideo.apps.own_videos.footage import Kind, Match, Pictures
from paddlevideo.apps.own_videos.names import Mark, WindowName, groups_by_pattern, window_name
from paddlevideo.apps.own_videos.records import VideoRecord

# Neighbours by number, x_001 and x_002, are windows of one recording if their nearest frames are at
# most this far apart. 99 of 100 pairs of windows of one real recording are below 0.10; of 37 clips,
# the nearest pair of different places is at 0.33.
_SAME_SCENE = 0.12
# Neighbours by number whose names say less must go on where the other ends; not as exactly.
_LOOSE_STEP_FACTOR = 3.0


@dataclass(frozen=True)
class Sources:
    """Which source each video is of.

    Attributes:
        of: number of the source of each record, 0, 1, ... in the order of first appearance.
        matches: pairs of videos that show the same footage, by index; each pair once.
        by_group, by_pattern, by_name, by_picture: how many videos were joined to others by what
            the user states, by ``--group``, by their names, and then by their pictures.
        step: every how many frames were compared; 1 but for large collections.
    """

    of: tuple[int, ...]
    matches: tuple[Match, ...] = ()
    by_group: int = 0
    by_pattern: int = 0
    by_name: int = 0
    by_picture: int = 0
    step: int = 1

    @property
    def count(self) -> int:
        """How many sources there are."""
        return len(set(self.of))

    def sentences(self) -> list[str]:
        """How the sources were found, in plain English."""
        found = [f"The {len(self.of)} videos are from {self.count} recordings."]
        ways = (
            (self.by_group, "by the groups that are stated"),
            (self.by_pattern, "by --group"),
            (self.by_name, "by their names"),
            (self.by_picture, "by their pictures"),
        )
        joins = [f"{count} {way}" for count, way in ways if count]
        if joins:
            found.append(f"Videos were joined to others of the same recording: {', '.join(joins)}.")
        if self.step > 1:
            found.append(
                f"There are so many videos that every frame number {self.step} was compared."
            )
        return found


def find_sources(
    records: Sequence[VideoRecord], scans: Sequence[FileScan], pattern: str | None = None
) -> Sources:
    """Find which videos are of the same footage.

    A video's source is what its record states as its group; else what ``pattern`` finds in its
    path; else what its name says: ``x_f0064``, ``x-part2`` are windows of ``x``; ``x_001`` and
    ``x_002`` are if their pictures are of one scene; ``video1`` and ``video2``, or names that hold
    a date, only if one goes on where the other ends. Beyond that, sources are joined wherever two
    videos show the same frames, re-encoded, scaled or mirrored, or where one begins where another
    ends, whatever names and groups say; see `footage` for the thresholds.

    Args:
        records: the videos.
        scans: what their files hold, in the same order.
        pattern: a regular expression; the user's ``--group``.

    Raises:
        DataError: ``pattern`` is no regular expression, or matches no path.
    """
    union = _Union(len(records))
    stated = [f"group {record.group}" if record.group else None for record in records]
    by_group = union.join_equal(stated)
    found = groups_by_pattern(records, pattern) if pattern is not None else [None] * len(records)
    patterns = [None if mine else other for mine, other in zip(stated, found, strict=True)]
    by_pattern = union.join_equal(patterns)
    pictures = Pictures(scans)
    named = [
        None if mine or other else window_name(record)
        for mine, other, record in zip(stated, found, records, strict=True)
    ]
    by_name = union.join(_pairs_by_name(records, named, pictures))
    matches = _matches(scans, pictures)
    by_picture = union.join((match.first, match.second) for match in matches)
    return Sources(
        union.numbers(), tuple(matches), by_group, by_pattern, by_name, by_picture, pictures.step
    )


def _matches(scans: Sequence[FileScan], pictures: Pictures) -> list[Match]:
    """Each pair once: identical files, then the same frames, then one going on from another."""
    found: dict[tuple[int, int], Match] = {}
    first_of: dict[str, int] = {}
    for index, scan in enumerate(scans):
        if scan.digest:
            first = first_of.setdefault(scan.digest, index)
            if first != index:
                found[first, index] = Match(first, index, Kind.IDENTICAL)
    for match in (*pictures.matches(), *pictures.continuations()):
        pair = (min(match.first, match.second), max(match.first, match.second))
        found.setdefault(pair, match)
    return [found[pair] for pair in sorted(found)]


def _pairs_by_name(
    records: Sequence[VideoRecord], names: Sequence[WindowName | None], pictures: Pictures
) -> Iterable[tuple[int, int]]:
    """Pairs of videos whose names, with their pictures where those are asked, say one recording."""
    families: dict[tuple[str, Mark], list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        if name is not None:
            families[name.recording, name.mark].append(index)
    continuing = {(m.first, m.second) for m in pictures.continuations(_LOOSE_STEP_FACTOR)}
    for (_, mark), members in families.items():
        for group in _in_one_place(records, names, members):
            for first, second in pairwise(group):
                if (
                    mark is Mark.WINDOW
                    or (first, second) in continuing
                    or (mark is Mark.NUMBERED and _is_one_scene(pictures, first, second))
                ):
                    yield first, second


def _is_one_scene(pictures: Pictures, first: int, second: int) -> bool:
    step = pictures.step_between(first, second)
    return min(step, pictures.scene_distance(first, second)) <= _SAME_SCENE


def _in_one_place(
    records: Sequence[VideoRecord], names: Sequence[WindowName | None], members: Sequence[int]
) -> list[list[int]]:
    """Members in the order of their numbers; apart by class where numbers are there twice.

    ``x_f0000`` in one class and ``x_f0064`` in another are cut from one ``x``; where each class has
    its own ``x_f0000``, they are different recordings that are called the same.
    """
    numbered = sorted(members, key=lambda index: (_number(names[index]), index))
    numbers = [_number(names[index]) for index in numbered]
    if len(set(numbers)) == len(numbers):
        return [numbered]
    by_class: dict[str, list[int]] = defaultdict(list)
    for index in numbered:
        by_class[records[index].class_name].append(index)
    return list(by_class.values())


def _number(name: WindowName | None) -> int:
    return -1 if name is None else name.number


class _Union:
    """Disjoint sets of 0 .. count - 1 (union-find with path halving)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def _root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def join(self, pairs: Iterable[tuple[int, int]]) -> int:
        """Put each pair into one set; return how many sets there are fewer."""
        fewer = 0
        for first, second in pairs:
            one, other = sorted((self._root(first), self._root(second)))
            if one != other:
                self._parent[other] = one
                fewer += 1
        return fewer

    def join_equal(self, keys: Sequence[str | None]) -> int:
        """Put all with the same key into one set, leave those without one; as `join`."""
        first: dict[str, int] = {}
        return self.join(
            (first.setdefault(key, index), index) for index, key in enumerate(keys) if key
        )

    def numbers(self) -> tuple[int, ...]:
        """The number of each one's set, from 0 in the order of first appearance."""
        known: dict[int, int] = {}
        return tuple(
            known.setdefault(self._root(index), len(known)) for index in range(len(self._parent))
        )
