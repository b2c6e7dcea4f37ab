"""The lists of a fit: which videos train, which validate, written as `VideoDataset` reads them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from paddlevideo.apps.fit.recipe import CLASSES, TEST_LIST, TRAIN_LIST, VAL_LIST
from paddlevideo.apps.own_videos import DataCheck, class_weights
from paddlevideo.apps.own_videos.records import TEST, TRAIN, VAL, VideoRecord
from paddlevideo.utils.files import write_text

_LISTS = {TRAIN: TRAIN_LIST, VAL: VAL_LIST, TEST: TEST_LIST}


def write_lists(check: DataCheck, folder: Path) -> dict[str, int]:
    """Write the lists of a checked data set; return the number of videos by split.

    Where classes differ by more than a factor of 3, videos of the smaller ones are listed several
    times for training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = check.videos.class_names
    write_text(folder / CLASSES, "".join(f"{name}\n" for name in names))
    numbers = {name: number for number, name in enumerate(names)}
    counts = {}
    for split, file in _LISTS.items():
        records = [r for r, s in zip(check.records, check.split.of, strict=True) if s == split]
        counts[split] = len(records)
        if not records:
            continue
        listed = _balanced(records) if split == TRAIN else records
        lines = (f"{record.path.resolve()} {numbers[record.class_name]}\n" for record in listed)
        write_text(folder / file, "".join(lines))
    return counts


def _balanced(records: Sequence[VideoRecord]) -> list[VideoRecord]:
    counts = Counter(record.class_name for record in records)
    weights = class_weights(counts)
    least = min(weights.values())
    return [r for r in records for _ in range(round(weights[r.class_name] / least))]
