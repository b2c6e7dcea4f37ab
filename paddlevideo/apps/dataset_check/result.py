"""`CheckResult`: what a check found, as sentences, tables and JSON."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from paddlevideo.apps.dataset_check.finding import MOST_COMPARED, is_compared
from paddlevideo.apps.dataset_check.findings import Finding, Kind
from paddlevideo.apps.dataset_check.listing import Listing
from paddlevideo.apps.own_videos.file_scan import FileScan
from paddlevideo.apps.reports.parts import Cell, DataCheck, Table
from paddlevideo.utils.nodes import Node

_MOST_ROWS = 200
_MOST_VALUES = 10  # of sizes, rates and formats
_EXAMPLES = 3


@dataclass(frozen=True)
class CheckResult:
    """The result of a check.

    Attributes:
        listing: what was checked.
        scans: what the file of each of its entries holds.
        findings: about the entries, by their indices.
        throughput: sentences about reading against training; empty where it was not measured.
    """

    listing: Listing
    scans: tuple[FileScan, ...]
    findings: tuple[Finding, ...]
    throughput: tuple[str, ...] = ()

    def of(self, *kinds: Kind) -> list[Finding]:
        """The findings of some kinds."""
        return [finding for finding in self.findings if finding.kind in kinds]

    @property
    def unusable(self) -> set[int]:
        """Indices of the samples that cannot be used."""
        return {finding.index for finding in self.findings if finding.kind.is_unusable}

    def text_of(self, finding: Finding, has_where: bool = False) -> str:
        """A finding with the names of its samples."""
        entry = self.listing.entries[finding.index]
        where = f"{entry.where}: " if has_where else ""
        if finding.other is None:
            return f"{where}{entry.path}: {finding.text}"
        return f"{where}{entry.path} {finding.text} {self.listing.entries[finding.other].path}"

    def split_lines(self) -> list[str]:
        """One line about each split."""
        sizes = Counter(entry.split for entry in self.listing.entries)
        unusable = Counter(self.listing.entries[index].split for index in self.unusable)
        damaged = Counter(
            self.listing.entries[f.index].split
            for f in self.of(Kind.DAMAGED)
            if f.index not in self.unusable
        )
        return [
            f"{split}: {count} samples, {unusable[split]} unusable, {damaged[split]} with lost "
            "frames"
            for split, count in sizes.items()
        ]

    def sentences(self) -> list[str]:
        """What was found, in plain English."""
        found = [f"{line}." for line in self.split_lines()]
        for kind in Kind:
            findings = self.of(kind)
            if findings and kind is not Kind.ODD:
                examples = "; ".join(self.text_of(each)[:300] for each in findings[:_EXAMPLES])
                more = " ..." if len(findings) > _EXAMPLES else "."
                found.append(f"{kind.value}: {len(findings)}, such as {examples}{more}")
        found += self.odd_lines()
        if not is_compared(self.scans):
            found.append(
                f"There are more than {MOST_COMPARED} videos: only their contents were compared, "
                "not their pictures; check parts of them to find the same footage."
            )
        return [*found, *self.listing.notes, *self.throughput]

    def odd_lines(self) -> list[str]:
        """How many videos are odd in which way, with examples."""
        names: dict[str, list[str]] = {}
        for scan in {scan.path: scan for scan in self.scans}.values():
            for oddity in scan.oddities:
                names.setdefault(oddity.kind.value, []).append(f"{scan.path.name} ({oddity.text})")
        return [
            f"{_videos(len(found))} {kind}: {', '.join(found[:_EXAMPLES])}"
            + (" ..." if len(found) > _EXAMPLES else "")
            for kind, found in names.items()
        ]

    def part(self) -> DataCheck:
        """What the page of a run shows."""
        return DataCheck(self.sentences(), self.tables())

    def as_dict(self) -> Node:
        """For JSON: ``summary``, ``tables`` and every one of the ``findings``."""
        entries = self.listing.entries
        return {
            "source": self.listing.title,
            "summary": self.sentences(),
            "tables": [
                {"title": table.title, "columns": table.columns, "rows": table.rows}
                for table in self.tables(most=None)
            ],
            "findings": [
                {
                    "kind": finding.kind.name.lower(),
                    "unusable": finding.kind.is_unusable,
                    "path": str(entries[finding.index].path),
                    "split": entries[finding.index].split,
                    "where": entries[finding.index].where,
                    "text": finding.text,
                    "other": None if finding.other is None else str(entries[finding.other].path),
                    "lost_share": finding.share,
                }
                for finding in self.findings
            ],
        }

    def losses(self) -> Iterator[Node]:
        """A row for each sample that cannot be used or lost frames, for JSON lines."""
        reasons: dict[int, str] = {}
        for finding in self.findings:
            if finding.kind.is_unusable:
                reasons.setdefault(finding.index, finding.text)
        damaged = {finding.index for finding in self.of(Kind.DAMAGED)}
        for index in sorted(reasons.keys() | damaged):
            entry, scan = self.listing.entries[index], self.scans[index]
            was_read = bool(scan.frames_read or scan.frames_lost)
            yield {
                "where": entry.where,
                "path": str(entry.path),
                "reason": reasons.get(index, ""),
                "frames_read": scan.frames_read if was_read else None,
                "frames_lost": scan.frames_lost if was_read else None,
            }

    def tables(self, most: int | None = _MOST_ROWS) -> list[Table]:
        """Classes by splits, spreads, and a table of each kind of finding; empty ones left out.

        Args:
            most: rows of findings in one table; None: all.
        """
        tables = [self.class_table(), self.spread_table(), self._values()]
        tables += [self._finding_table(kind, most) for kind in Kind]
        return [table for table in tables if table.rows]

    def class_table(self) -> Table:
        """Samples of each class in each split."""
        splits = self.listing.splits
        counts = Counter((entry.label, entry.split) for entry in self.listing.entries)
        classes = [*self.listing.classes]
        if any(label == "" for label, _ in counts):
            classes.append("")
        rows: list[list[Cell]] = [
            [label or "(no class)", *(counts[label, split] for split in splits)]
            for label in classes
        ]
        return Table("Samples by class and split", ["class", *splits], rows)

    def _usable(self) -> list[FileScan]:
        scans = {scan.path: scan for scan in self.scans if scan.is_usable and scan.width}
        return list(scans.values())

    def spread_table(self) -> Table:
        """The least, the median and the most of durations, rates and sizes."""
        scans = self._usable()
        properties: list[tuple[str, Callable[[FileScan], float]]] = [
            ("duration (s)", lambda scan: scan.duration_seconds),
            ("frames/s", lambda scan: scan.frame_rate),
            ("frames", lambda scan: scan.frames_read),
            ("width", lambda scan: scan.width),
            ("height", lambda scan: scan.height),
            ("megabytes", _megabytes),
        ]
        rows: list[list[Cell]] = []
        for title, value_of in properties if scans else []:
            values = [value_of(scan) for scan in scans]
            numbers = (min(values), float(np.median(values)), max(values))
            rows.append([title, *(round(float(number), 3) for number in numbers)])
        return Table("Spread", ["", "least", "median", "most"], rows)

    def _values(self) -> Table:
        scans = self._usable()
        rows: list[list[Cell]] = []
        for title, values in (
            ("size", [f"{scan.width}x{scan.height}" for scan in scans]),
            ("frames/s", [f"{scan.frame_rate:.2f}" for scan in scans]),
            ("format", [f"{s.container}, {s.codec}, {s.pixel_format}" for s in scans]),
        ):
            counts = Counter(values).most_common()
            rows += [[title, value, count] for value, count in counts[:_MOST_VALUES]]
            if len(counts) > _MOST_VALUES:
                rest = sum(count for _, count in counts[_MOST_VALUES:])
                rows.append([title, f"{len(counts) - _MOST_VALUES} others", rest])
        return Table("Most frequent", ["", "value", "videos"], rows)

    def _finding_table(self, kind: Kind, most: int | None) -> Table:
        findings = self.of(kind)
        entries = self.listing.entries
        has_other = any(finding.other is not None for finding in findings)
        rows: list[list[Cell]] = []
        for finding in findings[:most]:
            entry = entries[finding.index]
            row: list[Cell] = [str(entry.path), entry.split, finding.text]
            if has_other:
                other = None if finding.other is None else entries[finding.other]
                row += ["", ""] if other is None else [str(other.path), other.split]
            rows.append(row)
        if most is not None and len(findings) > most:
            rows.append([f"... and {len(findings) - most} more", *[""] * (4 if has_other else 2)])
        columns = ["sample", "split", "finding", *(["other sample", "its split"] * has_other)]
        return Table(kind.value, columns, rows)


def text_lines(result: CheckResult, most: int = 100, most_of_a_kind: int = 20) -> list[str]:
    """What a console shows behind the table of classes.

    Args:
        most: lines about samples that are unusable, and about damaged ones.
        most_of_a_kind: lines of each other kind.
    """
    lines = result.split_lines()
    lines += _shown(result, result.of(*(k for k in Kind if k.is_unusable)), most)
    lines += _shown(result, result.of(Kind.DAMAGED), most)
    for kind in Kind:
        if kind.is_unusable or kind in (Kind.DAMAGED, Kind.ODD):
            continue
        findings = result.of(kind)
        if findings:
            lines.append(f"{kind.value}: {len(findings)}")
            lines += _shown(result, findings, most_of_a_kind)
    odd = result.odd_lines()
    lines += ["Odd, but usable:", *(f"  {line}" for line in odd)] if odd else []
    return [*lines, *result.listing.notes, *result.throughput]


def _shown(result: CheckResult, findings: Sequence[Finding], most: int) -> list[str]:
    lines = [f"  {result.text_of(finding, has_where=True)}" for finding in findings[:most]]
    if len(findings) > most:
        lines.append(f"  ... and {len(findings) - most} more; --json FILE lists them all")
    return lines


def _videos(count: int) -> str:
    return "1 video" if count == 1 else f"{count} videos"


def _megabytes(scan: FileScan) -> float:
    return (scan.num_bytes or 0) / 1e6
