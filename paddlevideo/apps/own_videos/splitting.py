"""`split`: train and val, stratified by class, with every recording on one side only."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paddlevideo.apps.own_videos.records import TEST, TRAIN, VAL, VideoRecord, named
from paddlevideo.apps.own_videos.sources import Sources
from paddlevideo.utils.errors import ArgumentError, DataError

_MOST_PASSES = 50
_MOST_SOURCES_FOR_SWAPS = 500
_NO_TRAIN, _NO_VAL = 1e6, 1e3


@dataclass(frozen=True)
class Split:
    """Which split each video is in.

    Attributes:
        of: ``train``, ``val`` or ``test`` for each record.
        is_chosen: whether it was chosen here; False where the user stated it.
        sentences: how it was made, in plain English.
        warnings: what the user should know or change.
        crossing: numbers of the sources that are in more than one split.
    """

    of: tuple[str, ...]
    is_chosen: bool
    sentences: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    crossing: tuple[int, ...] = ()


def split(
    records: Sequence[VideoRecord], sources: Sources, share: float = 0.2, seed: int = 0
) -> Split:
    """Divide the videos into train and val, or check the split that the user states.

    Where no record is for val, whole sources go to val until, in every class, its share is as near
    to ``share`` as the sources allow; every class keeps at least one source for training. The
    videos of a class with one source only are all in train, with a warning. Only where that holds
    for all classes, so that there would be no val at all, is each class split in the order of its
    names, the last ones to val; a warning says that val then shows the footage of train. Videos
    that are stated to be for test stay there.

    Where records are for val, nothing is moved; footage in several splits is reported.

    Args:
        records: the videos; those that cannot be read are left out before.
        sources: of these records.
        share: of the videos of each class that are for val.
        seed: another one chooses other sources. The same arguments give the same split.

    Raises:
        ArgumentError: ``share`` is not between 0 and 1.
        DataError: a class has one video only and no other class can be validated either.
    """
    if not 0 < share < 1:
        raise ArgumentError(f"the share of val is {share}, expected a number between 0 and 1")
    if any(record.split == VAL for record in records):
        return _as_stated(records, sources)
    free = [index for index, record in enumerate(records) if record.split != TEST]
    counts_SC, numbers, class_names = _counts(records, sources, free)
    is_val_S = _choose(counts_SC, share, seed)
    is_val = dict(zip(numbers, is_val_S.tolist(), strict=True))
    chosen = [TEST] * len(records)
    for index in free:
        chosen[index] = VAL if is_val[sources.of[index]] else TRAIN
    warnings = _single_source_warnings(counts_SC, class_names)
    if not is_val_S.any():
        warnings = _in_order_of_names(records, free, chosen, share)
        return Split(tuple(chosen), True, (), tuple(warnings), _crossing(sources, chosen))
    crossing = _crossing(sources, chosen)
    warnings += _crossing_warnings(records, sources, chosen, crossing)
    how = _how(records, sources, chosen, share, seed)
    return Split(tuple(chosen), True, (how,), tuple(warnings), crossing)


def _as_stated(records: Sequence[VideoRecord], sources: Sources) -> Split:
    chosen = [record.split or TRAIN for record in records]
    crossing = _crossing(sources, chosen)
    counts = Counter(chosen)
    parts = ", ".join(f"{counts[name]} in {name}" for name in (TRAIN, VAL, TEST) if counts[name])
    text = f"The split is the one that the videos came with: {parts}."
    warnings = _crossing_warnings(records, sources, chosen, crossing)
    if not crossing:
        text += " No footage was found in two splits."
    return Split(tuple(chosen), False, (text,), tuple(warnings), crossing)


def _counts(
    records: Sequence[VideoRecord], sources: Sources, free: Sequence[int]
) -> tuple[np.ndarray, list[int], list[str]]:
    """Videos of each source and class [S, C], the numbers of the sources, the class names."""
    numbers = sorted({sources.of[index] for index in free})
    class_names = sorted({records[index].class_name for index in free})
    row = {number: index for index, number in enumerate(numbers)}
    column = {name: index for index, name in enumerate(class_names)}
    counts_SC = np.zeros((len(numbers), len(class_names)))
    for index in free:
        counts_SC[row[sources.of[index]], column[records[index].class_name]] += 1
    return counts_SC, numbers, class_names


def _choose(counts_SC: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which sources are for val: greedy in a random order, then improved one and two at a time."""
    rng = np.random.default_rng(seed)
    cost = _Cost(counts_SC, share)
    is_val_S: np.ndarray = np.zeros(len(counts_SC), bool)
    order = rng.permutation(len(counts_SC))
    for _ in range(_MOST_PASSES):
        has_changed = False
        for source in order:
            has_changed |= cost.flip_if_better(is_val_S, source)
        if not has_changed and len(order) <= _MOST_SOURCES_FOR_SWAPS:
            has_changed = cost.swap_if_better(is_val_S, order)
        if not has_changed:
            break
    return is_val_S


class _Cost:
    """How far val is from its share, over the classes; classes without train or val cost most."""

    def __init__(self, counts_SC: np.ndarray, share: float) -> None:
        self._counts_SC = counts_SC
        self._total_C = counts_SC.sum(axis=0)
        self._target_C = share * self._total_C
        self._can_split_C = (counts_SC > 0).sum(axis=0) > 1

    def of(self, val_NC: np.ndarray) -> np.ndarray:
        """The cost [N] of N possible numbers of val videos per class."""
        deviation_NC = (val_NC - self._target_C) / self._total_C
        no_train_N = (val_NC >= self._total_C).sum(axis=1)
        no_val_N = ((val_NC <= 0) & self._can_split_C).sum(axis=1)
        cost_N: np.ndarray = (
            (deviation_NC**2).sum(axis=1) + _NO_TRAIN * no_train_N + _NO_VAL * no_val_N
        )
        return cost_N

    def flip_if_better(self, is_val_S: np.ndarray, source: int) -> bool:
        """Put a source on the other side where that costs less."""
        val_C = is_val_S @ self._counts_SC
        sign = -1 if is_val_S[source] else 1
        now, then = self.of(np.stack([val_C, val_C + sign * self._counts_SC[source]]))
        if then < now - 1e-12:
            is_val_S[source] = not is_val_S[source]
            return True
        return False

    def swap_if_better(self, is_val_S: np.ndarray, order: np.ndarray) -> bool:
        """Exchange one source of val for one of train, the first pair that costs less."""
        val_C = is_val_S @ self._counts_SC
        now = self.of(val_C[None])[0]
        others = order[~is_val_S[order]]
        for source in order[is_val_S[order]]:
            costs = self.of(val_C - self._counts_SC[source] + self._counts_SC[others])
            if len(costs) and costs.min() < now - 1e-12:
                is_val_S[source] = False
                is_val_S[others[costs.argmin()]] = True
                return True
        return False


def _in_order_of_names(
    records: Sequence[VideoRecord], free: Sequence[int], chosen: list[str], share: float
) -> list[str]:
    """Split each class by the order of its names; the warning about it."""
    by_class: dict[str, list[int]] = defaultdict(list)
    for index in free:
        by_class[records[index].class_name].append(index)
    for members in by_class.values():
        ordered = sorted(members, key=lambda index: _natural(records[index].path.as_posix()))
        num_val = min(len(ordered) - 1, max(1, round(share * len(ordered))))
        for index in ordered[len(ordered) - num_val :] if num_val else []:
            chosen[index] = VAL
    if VAL not in chosen:
        raise DataError(
            "every class has one video only: there is nothing left to validate with; add videos, "
            "best from another recording"
        )
    return [
        "WARNING: every class is from one recording only, so val shows the same footage as train: "
        "the last videos of each class by name are val. Its accuracy will be too good, and says "
        "little about other recordings. Film each class at least twice, on different days or with "
        "different people."
    ]


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sorts x_2 before x_10."""
    parts = re.split(r"([0-9]{1,18})", text)
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part]


def _single_source_warnings(counts_SC: np.ndarray, class_names: Sequence[str]) -> list[str]:
    single = [
        name
        for name, num_sources in zip(class_names, (counts_SC > 0).sum(axis=0), strict=True)
        if num_sources == 1
    ]
    if not single:
        return []
    return [
        f"All videos of {named(single)} are from one recording, so they are all in train, and val "
        "does not measure these classes. Film them once more, on another day or with another "
        "person."
    ]


def _crossing(sources: Sources, chosen: Sequence[str]) -> tuple[int, ...]:
    seen: dict[int, set[str]] = defaultdict(set)
    for number, split in zip(sources.of, chosen, strict=True):
        seen[number].add(split)
    return tuple(sorted(number for number, found in seen.items() if len(found) > 1))


def _crossing_warnings(
    records: Sequence[VideoRecord], sources: Sources, chosen: Sequence[str], crossing: Sequence[int]
) -> list[str]:
    if not crossing:
        return []
    examples = []
    for number in crossing:
        members = [index for index, source in enumerate(sources.of) if source == number]
        first = members[0]
        other = next(index for index in members if chosen[index] != chosen[first])
        examples.append(
            f"{records[first].path.name} ({chosen[first]}) and {records[other].path.name} "
            f"({chosen[other]})"
        )
    counted = "1 recording is" if len(crossing) == 1 else f"{len(crossing)} recordings are"
    return [
        f"{counted} in more than one split, so val or test is easier than new "
        f"videos are: {named(examples, 3)}. Nothing was moved."
    ]


def _how(
    records: Sequence[VideoRecord], sources: Sources, chosen: Sequence[str], share: float, seed: int
) -> str:
    counts = Counter(chosen)
    num_val = len({n for n, split in zip(sources.of, chosen, strict=True) if split == VAL})
    num_all = len({n for n, split in zip(sources.of, chosen, strict=True) if split != TEST})
    shares = []
    for name in sorted({record.class_name for record in records}):
        mine = Counter(
            split for r, split in zip(records, chosen, strict=True) if r.class_name == name
        )
        if mine[VAL]:
            shares.append(mine[VAL] / (mine[TRAIN] + mine[VAL]))
    return (
        f"There was no split: {counts[VAL]} of {counts[VAL] + counts[TRAIN]} videos were put into "
        f"val, all those of {num_val} of {num_all} recordings; {min(shares):.0%} to "
        f"{max(shares):.0%} of each class, where {share:.0%} was asked for (seed {seed}). No "
        "recording is in both train and val."
    )
