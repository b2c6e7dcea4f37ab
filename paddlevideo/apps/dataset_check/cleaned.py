"""`write_cleaned`: lists without what a check found unusable, twice, or under two labels."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from paddlevideo.apps.dataset_check.findings import Kind
from paddlevideo.apps.dataset_check.listing import Entry, Listing
from paddlevideo.apps.dataset_check.result import CheckResult
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.utils.files import write_text

# Of copies in several splits that of the set which others compare with stays.
_STAYS_FIRST = ("test", "val", "valid")


def check_targets(listing: Listing, file: Path) -> dict[str, Path]:
    """Return the file of each split's cleaned list: ``file``, or ``file`` with the split's name.

    Raises:
        ConfigError: one of them exists: a list of the user is never written over.
        DataError: no sample has a class.
    """
    if not any(entry.label for entry in listing.entries):
        raise DataError(f"--fix writes lists of labelled videos; {listing.title} has no classes")
    splits = listing.splits
    files = {split: file for split in splits}
    if len(splits) > 1:
        files = {split: file.with_name(f"{file.stem}_{split}{file.suffix}") for split in splits}
    for path in (*files.values(), _classes_file(file)):
        if path.exists():
            raise ConfigError(f"--fix: {path} exists and is not written over; name another file")
    return files


def write_cleaned(result: CheckResult, file: Path, files: Mapping[str, Path]) -> list[str]:
    """Write the cleaned lists; return sentences on what was left out.

    Left out are samples that cannot be used; copies, of which one stays: of several splits that of
    test or validation; and all samples of a video that has two labels.

    Args:
        file: as named by the user.
        files: of `check_targets`.
    """
    listing = result.listing
    left_out = _left_out(result)
    numbers = {title: number for number, title in enumerate(listing.classes)}
    lines: dict[str, list[str]] = {split: [] for split in files}
    stays: dict[str, set[str]] = {split: set() for split in files}
    for index, entry in enumerate(listing.entries):
        if index not in left_out:
            number = numbers[entry.label] if entry.number is None else entry.number
            lines[entry.split].append(_line(entry, number))
            stays[entry.split].add(entry.label)
    for split, path in files.items():
        write_text(path, "".join(lines[split]))
    counts = Counter(left_out.values())
    said = [f"{files[s]}: {_count(lines[s])}" for s in files]
    said += _emptied(listing, stays)
    said += [f"  left out: {count} {why}" for why, count in counts.items()]
    if all(entry.number is None for entry in listing.entries):
        write_text(_classes_file(file), "".join(f"{title}\n" for title in listing.classes))
        said.append(f"{_classes_file(file)}: the names of the classes, in the order of the numbers")
    said += [
        f"  left out, two labels: {listing.entries[index].path} ({listing.entries[index].label})"
        for index, why in left_out.items()
        if why == _TWO_LABELS
    ]
    return said


def _count(lines: list[str]) -> str:
    return f"{len(lines)} samples" if lines else "EMPTY: no sample of it can be used"


def _emptied(listing: Listing, stays: Mapping[str, set[str]]) -> list[str]:
    """Sentences on the classes that have lost their last sample of a split."""
    before: dict[str, set[str]] = {split: set() for split in stays}
    for entry in listing.entries:
        if entry.label:
            before[entry.split].add(entry.label)
    return [
        f"  no sample is left of {label}" + (f" in {split}" if len(stays) > 1 else "")
        for split, labels in before.items()
        if stays[split]
        for label in sorted(labels - stays[split])
    ]


_TWO_LABELS = "of videos under two labels"


def _classes_file(file: Path) -> Path:
    return file.with_name(f"{file.stem}_classes.txt")


def _line(entry: Entry, number: int) -> str:
    if entry.num_frames is None:
        return f"{entry.path} {number}\n"
    return f"{entry.path} {entry.num_frames} {number}\n"


def _left_out(result: CheckResult) -> dict[int, str]:
    """Index of each sample that is left out -> why."""
    entries = result.listing.entries
    found = {index: "that cannot be used" for index in sorted(result.unusable)}
    by_digest: dict[str, list[int]] = defaultdict(list)
    for index, scan in enumerate(result.scans):
        if scan.digest and index not in found:
            by_digest[scan.digest].append(index)
        if not entries[index].label:
            found.setdefault(index, "without a class")
    for finding in result.of(Kind.TWO_LABELS):
        for each in (finding.index, finding.other):
            if each is not None:
                for index in by_digest.get(result.scans[each].digest, [each]):
                    found.setdefault(index, _TWO_LABELS)
    for copies in by_digest.values():
        kept = [index for index in copies if index not in found]
        kept.sort(key=lambda index: (_rank(entries[index].split), index))
        found.update(dict.fromkeys(kept[1:], "that are copies of others"))
    return found


def _rank(split: str) -> int:
    return _STAYS_FIRST.index(split) if split in _STAYS_FIRST else len(_STAYS_FIRST)
