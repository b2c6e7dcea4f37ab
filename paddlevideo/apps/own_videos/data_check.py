"""`DataCheck`: what was found about a user's videos, for a console and a report."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from paddlevideo.apps.own_videos.advice import needs_balancing
from paddlevideo.apps.own_videos.file_scan import FileScan
from paddlevideo.apps.own_videos.footage import Kind, Match
from paddlevideo.apps.own_videos.records import SPLITS, OwnVideos, VideoRecord, named
from paddlevideo.apps.own_videos.sources import Sources
from paddlevideo.apps.own_videos.splitting import Split
from paddlevideo.utils.nodes import Node

_MOST_ROWS = 200
_FEW_VIDEOS = 5


@dataclass(frozen=True)
class DataCheck:
    """The result of the check.

    Attributes:
        videos: all that were listed.
        scans: of all of them, in the same order.
        kept: indices of those that can be read.
        sources, split: of those that are kept, in their order.
    """

    videos: OwnVideos
    scans: tuple[FileScan, ...]
    kept: tuple[int, ...]
    sources: Sources
    split: Split

    @property
    def records(self) -> list[VideoRecord]:
        """The videos that can be read."""
        return [self.videos.records[index] for index in self.kept]

    def sentences(self) -> list[str]:
        """The findings in plain English, the most important first."""
        usable = [self.scans[index] for index in self.kept]
        damaged = [scan for scan in usable if scan.frames_lost]
        found = [
            f"{len(usable)} of {len(self.scans)} videos can be read, of "
            f"{len(self.videos.class_names)} classes; the median video lasts "
            f"{_median([scan.duration_seconds for scan in usable]):.1f} s."
        ]
        unreadable = [scan for scan in self.scans if scan.reason]
        if unreadable:
            names = named([f"{scan.path.name}: {scan.reason}" for scan in unreadable], 3)
            found.append(
                f"{_count(unreadable, 'video', False)} cannot be read and are left out: {names}."
            )
        if damaged:
            lost = sum(scan.frames_lost for scan in damaged)
            names = named([scan.path.name for scan in damaged], 3)
            found.append(
                f"{_count(damaged, 'video')} damaged, {lost} frames of them are left out: {names}."
            )
        found += self._repeats()
        found += self.sources.sentences()
        found += [*self.split.warnings, *self.split.sentences]
        found += self._class_sizes()
        return [*found, *self.videos.notes]

    def _repeats(self) -> list[str]:
        found = []
        copies = [m for m in self.sources.matches if m.kind is Kind.IDENTICAL]
        if copies:
            examples = named([self._pair(match) for match in copies], 3)
            found.append(f"{_count(copies, 'file')} identical to another one: {examples}.")
        differing = [m for m in copies if len({self._class(m.first), self._class(m.second)}) == 2]
        if differing:
            examples = named([self._pair(match) for match in differing], 3)
            found.append(
                f"{_count(differing, 'file')} in two classes: {examples}. One of the two labels "
                "is wrong; delete that file."
            )
        return found

    def _class_sizes(self) -> list[str]:
        counts = self.counts()
        found = []
        trained = {name: row["train"] for name, row in counts.items()}
        if needs_balancing(trained):
            most = max(trained, key=trained.__getitem__)
            least = min(trained, key=trained.__getitem__)
            found.append(
                f"Classes differ in size: {most} has {trained[most]} videos for training, {least} "
                f"has {trained[least]}."
            )
        few = [name for name, count in trained.items() if count < _FEW_VIDEOS]
        if few:
            found.append(f"There are fewer than {_FEW_VIDEOS} training videos of {named(few)}.")
        without = [name for name, row in counts.items() if not row["val"]]
        if without:
            found.append(f"Val has no videos of {named(without)}.")
        return found

    def counts(self) -> dict[str, dict[str, int]]:
        """Videos that can be read, by class and split."""
        table = {name: dict.fromkeys(SPLITS, 0) for name in self.videos.class_names}
        for record, split in zip(self.records, self.split.of, strict=True):
            table[record.class_name][split] += 1
        return table

    def tables(self) -> list[Node]:
        """Tables with ``title``, ``columns`` and ``rows``; empty ones are left out."""
        unread = [(s, s.reason) for s in self.scans if s.reason]
        damaged = [(s, s.damage) for s in self.scans if s.frames_lost and not s.reason]
        tables = [
            self._class_table(),
            self._property_table(),
            self._file_table("Videos that cannot be read", "reason", unread),
            self._file_table("Damaged videos", "damage", damaged),
            self._pair_table("Identical files", lambda m: m.kind is Kind.IDENTICAL),
            self._pair_table(
                "The same footage in different splits",
                lambda m: self.split.of[m.first] != self.split.of[m.second],
            ),
            self._crossing_table(),
        ]
        return [table for table in tables if table["rows"]]

    def as_dict(self) -> Node:
        """What JSON and the report take: ``summary``, sentences, and ``tables``."""
        return {"summary": self.sentences(), "tables": self.tables()}

    def _class_table(self) -> Node:
        counts = self.counts()
        shown = [s for s in SPLITS if any(row[s] for row in counts.values())]
        recordings: dict[str, set[int]] = defaultdict(set)
        seconds: dict[str, list[float]] = defaultdict(list)
        for record, index, source in zip(self.records, self.kept, self.sources.of, strict=True):
            recordings[record.class_name].add(source)
            seconds[record.class_name].append(self.scans[index].duration_seconds)
        unreadable = Counter(
            record.class_name
            for record, scan in zip(self.videos.records, self.scans, strict=True)
            if scan.reason
        )
        rows = [
            [
                name,
                *(counts[name][split] for split in shown),
                len(recordings[name]),
                round(_median(seconds[name]), 2),
                unreadable[name],
            ]
            for name in self.videos.class_names
        ]
        columns = ["class", *shown, "recordings", "median seconds", "unreadable"]
        return {"title": "Videos by class and split", "columns": columns, "rows": rows}

    def _property_table(self) -> Node:
        usable = [self.scans[index] for index in self.kept]
        rows = []
        for title, values in (
            ("duration (s)", [scan.duration_seconds for scan in usable]),
            ("frames/s", [scan.frame_rate for scan in usable]),
            ("frames", [float(scan.frames_read) for scan in usable]),
            ("width", [float(scan.width) for scan in usable]),
            ("height", [float(scan.height) for scan in usable]),
        ):
            if values:
                numbers = (min(values), _median(values), max(values))
                rows.append([title, *(round(number, 2) for number in numbers)])
        columns = ["", "least", "median", "most"]
        return {"title": "Durations, rates and sizes", "columns": columns, "rows": rows}

    def _file_table(self, title: str, column: str, found: Sequence[tuple[FileScan, str]]) -> Node:
        rows = [[self._short(scan), text] for scan, text in found]
        return {"title": title, "columns": ["file", column], "rows": _cut(rows)}

    def _pair_table(self, title: str, is_wanted: Callable[[Match], bool]) -> Node:
        rows = [
            [
                self._name(match.first),
                self.split.of[match.first],
                match.kind.value,
                self._name(match.second),
                self.split.of[match.second],
            ]
            for match in self.sources.matches
            if is_wanted(match)
        ]
        columns = ["video", "split", "", "video", "split"]
        return {"title": title, "columns": columns, "rows": _cut(rows)}

    def _crossing_table(self) -> Node:
        crossing = set(self.split.crossing)
        members: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for index, (number, split) in enumerate(zip(self.sources.of, self.split.of, strict=True)):
            if number in crossing:
                members[number][split].append(self._name(index))
        rows = [
            [named(found["train"], 3), named(found["val"], 3), named(found["test"], 3)]
            for _, found in sorted(members.items())
        ]
        title = "Recordings in more than one split"
        return {"title": title, "columns": list(SPLITS), "rows": _cut(rows)}

    def _name(self, index: int) -> str:
        return self._short(self.scans[self.kept[index]])

    def _short(self, scan: FileScan) -> str:
        base = self.videos.path if self.videos.path.is_dir() else self.videos.path.parent
        return str(scan.path.relative_to(base) if scan.path.is_relative_to(base) else scan.path)

    def _class(self, index: int) -> str:
        return self.videos.records[self.kept[index]].class_name

    def _pair(self, match: Match) -> str:
        return f"{self._name(match.second)} and {self._name(match.first)}"


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else 0.0


def _count(things: Sequence[object], noun: str, has_verb: bool = True) -> str:
    is_one = len(things) == 1
    counted = f"1 {noun}" if is_one else f"{len(things)} {noun}s"
    return f"{counted} {'is' if is_one else 'are'}" if has_verb else counted


def _cut(rows: list[list[str]]) -> list[list[str]]:
    """The first rows, and one that says how many more there are."""
    if len(rows) <= _MOST_ROWS:
        return rows
    more = f"... and {len(rows) - _MOST_ROWS} more"
    return [*rows[:_MOST_ROWS], [more, *[""] * (len(rows[0]) - 1)]]
