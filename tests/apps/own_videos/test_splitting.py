"""The split: every video once, no source on both sides, stratified, repeatable."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.apps.own_videos import Sources, Split, VideoRecord, split
from paddlevideo.utils.errors import ArgumentError, DataError


def case(*sources: dict[str, int]) -> tuple[list[VideoRecord], Sources]:
    """Records of sources that hold so many videos of each class."""
    records, of = [], []
    for number, counts in enumerate(sources):
        for name, count in counts.items():
            for index in range(count):
                records.append(VideoRecord(Path(f"{name}/{number}_{index}.mp4"), name))
                of.append(number)
    return records, Sources(tuple(of))


def counts(records: list[VideoRecord], result: Split, name: str) -> Counter[str]:
    return Counter(p for r, p in zip(records, result.of, strict=True) if r.class_name == name)


sources = st.lists(
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 6), min_size=1, max_size=3),
    min_size=2,
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(sources, st.floats(0.05, 0.6), st.integers(0, 5))
def test_what_holds_for_every_split(stated, share, seed):
    records, found = case(*stated)
    try:
        result = split(records, found, share, seed)
    except DataError:
        assert max(Counter(r.class_name for r in records).values()) == 1
        return
    assert result == split(records, found, share, seed)
    assert len(result.of) == len(records) and set(result.of) == {"train", "val"}
    sides = {(n, p) for n, p in zip(found.of, result.of, strict=True)}
    if len(sides) > found.count:  # the same footage on both sides: never without saying so
        assert "same footage" in result.warnings[0] and "WARNING" in result.warnings[0]
        return
    assert result.crossing == () and "whole" not in result.warnings
    for name in {r.class_name for r in records}:
        assert counts(records, result, name)["train"] > 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(1, 7), min_size=2, max_size=20), min_size=2, max_size=4))
def test_each_class_is_near_its_share(sizes):
    """Sources of one class each: val is within the largest source of what was asked for."""
    stated = [{f"c{c}": size} for c, members in enumerate(sizes) for size in members]
    records, found = case(*stated)
    result = split(records, found, 0.25, 3)
    for c, members in enumerate(sizes):
        in_val = counts(records, result, f"c{c}")["val"]
        assert 0 < in_val < sum(members)
        assert abs(in_val - 0.25 * sum(members)) <= max(members)


@pytest.mark.parametrize("num", [5, 10, 15, 20])
def test_single_videos_are_split_exactly(num):
    records, found = case(*({name: 1} for name in "ab" for _ in range(num)))
    result = split(records, found, 0.2)
    assert [counts(records, result, name)["val"] for name in "ab"] == [num // 5] * 2
    assert "20% to 20% of each class" in result.sentences[0] and result.is_chosen


def test_another_seed_chooses_others():
    records, found = case(*({name: 1} for name in "ab" for _ in range(20)))
    assert len({split(records, found, seed=seed).of for seed in range(5)}) == 5


def test_groups_over_all_classes_stay_together():
    records, found = case(*({"a": 2, "b": 2, "c": 2} for _ in range(10)))
    result = split(records, found, 0.2)
    assert Counter(result.of) == {"train": 48, "val": 12} and result.crossing == ()


def test_a_class_of_one_source_stays_in_train_and_is_named():
    records, found = case({"jump": 9}, *({"walk": 2} for _ in range(5)))
    result = split(records, found)
    assert counts(records, result, "jump") == {"train": 9}
    assert counts(records, result, "walk")["val"] == 2
    assert "All videos of jump are from one recording" in result.warnings[0]


def test_where_every_class_has_one_source_the_split_says_that_it_leaks():
    records, found = case({"jump": 12}, {"walk": 10})
    result = split(records, found, 0.2)
    in_val = [r.path.name for r, p in zip(records, result.of, strict=True) if p == "val"]
    assert in_val == ["0_10.mp4", "0_11.mp4", "1_8.mp4", "1_9.mp4"]
    assert result.warnings[0].startswith("WARNING: every class is from one recording only")
    assert result.crossing == (0, 1) and result.sentences == ()


def test_nothing_to_validate_with():
    records, found = case({"jump": 1}, {"walk": 1})
    with pytest.raises(DataError, match="one video only"):
        split(records, found)


def stated(*places: str | None) -> list[VideoRecord]:
    return [VideoRecord(Path(f"{n}.mp4"), "ab"[n % 2], place) for n, place in enumerate(places)]


def test_a_stated_split_is_checked_and_not_moved():
    records = stated("train", "train", "val", "val", "test", "train")
    result = split(records, Sources((0, 1, 2, 1, 3, 4)))
    assert result.of == ("train", "train", "val", "val", "test", "train")
    assert not result.is_chosen and result.crossing == (1,)
    assert "1.mp4 (train) and 3.mp4 (val)" in result.warnings[0]
    clean = split(records, Sources((0, 1, 2, 3, 4, 5)))
    assert clean.warnings == () and "No footage was found in two splits" in clean.sentences[0]


def test_a_stated_test_set_is_kept():
    records = stated(*["train"] * 20, "test", "test")
    result = split(records, Sources((*range(20), 0, 20)))
    assert result.of[20:] == ("test", "test") and Counter(result.of)["val"] == 4
    assert result.crossing == (0,) and "20.mp4 (test)" in result.warnings[0]


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_shares_that_cannot_be(share):
    with pytest.raises(ArgumentError, match="share of val"):
        split(*case({"a": 2}, {"b": 2}), share)
