"""Which videos are of the same footage: by what is stated, by names, by pictures."""

from pathlib import Path

import numpy as np
import pytest

from apps.own_videos.footage import footage, records_of, write
from paddlevideo.apps.own_videos import FileScan, Sources, VideoRecord, find_sources
from paddlevideo.apps.own_videos import footage as matching
from paddlevideo.apps.own_videos.file_scan import scan_file
from paddlevideo.apps.own_videos.footage import Kind
from paddlevideo.apps.own_videos.names import Mark, window_name
from paddlevideo.utils.errors import DataError


def sources_of(*paths: Path, pattern: str | None = None) -> Sources:
    return find_sources(records_of(*paths), [scan_file(path) for path in paths], pattern)


def kinds(sources: Sources) -> set[Kind]:
    return {match.kind for match in sources.matches}


def test_copies_in_other_sizes_encodings_and_rates(tmp_path):
    frames = footage(1, 60)
    original = write(tmp_path / "a.mp4", frames)
    (tmp_path / "same.mp4").write_bytes(original.read_bytes())
    small = write(tmp_path / "b.avi", frames, scale=0.5, bit_rate=200_000)
    slower = write(tmp_path / "c.mp4", frames[::2], rate=12.5)
    darker = write(tmp_path / "d.mp4", (frames * 0.6 + 10).astype(np.uint8))
    mirrored = write(tmp_path / "e.mp4", frames[:, :, ::-1])
    other = write(tmp_path / "f.mp4", footage(2, 60))
    same = [original, tmp_path / "same.mp4", small, slower, darker, mirrored]
    sources = sources_of(*same, other)
    assert sources.of == (0, 0, 0, 0, 0, 0, 1) and sources.by_picture == 5
    assert kinds(sources) == {Kind.IDENTICAL, Kind.FRAMES, Kind.MIRRORED}
    assert "from 2 recordings" in sources.sentences()[0]


@pytest.mark.parametrize("background", [7, 8, 9])
def test_takes_with_one_background_are_apart(tmp_path, background):
    paths = [write(tmp_path / f"{n}.mp4", footage(n, 50, background)) for n in range(8)]
    assert sources_of(*paths).of == tuple(range(8))


def test_takes_that_begin_and_end_with_the_empty_scene_are_apart(tmp_path):
    """A tripod: nobody is in the picture for a while, then somebody does something."""
    empty = footage(5, 1)[:1]
    rng = np.random.default_rng(0)
    paths = []
    for take in range(4):
        action = footage(20 + take, 30, background=5)
        still = np.repeat(empty, 20, axis=0)
        frames = np.concatenate([still, action, still]).astype(np.int16)
        frames += rng.integers(-3, 4, frames.shape, dtype=np.int16)
        paths.append(write(tmp_path / f"{take}.mp4", np.clip(frames, 0, 255).astype(np.uint8)))
    assert sources_of(*paths).of == (0, 1, 2, 3)


def test_windows_with_names_that_say_nothing(tmp_path):
    """They overlap by half, or by a few frames, or follow each other without any overlap."""
    frames = footage(3, 140)
    names = ["pear", "apple", "plum", "fig"]
    windows = [(0, 40), (20, 60), (55, 95), (95, 135)]
    paths = [
        write(tmp_path / f"{name}.mp4", frames[first:last], bit_rate=900_000 + 50_000 * first)
        for name, (first, last) in zip(names, windows, strict=True)
    ]
    other = write(tmp_path / "kiwi.mp4", footage(4, 60))
    sources = sources_of(*paths, other)
    assert sources.of == (0, 0, 0, 0, 1)
    assert kinds(sources) == {Kind.FRAMES, Kind.GOES_ON}


def test_a_short_window_of_a_long_recording(tmp_path):
    frames = footage(3, 400)
    paths = [
        write(tmp_path / "long.mp4", frames),
        write(tmp_path / "cut.mp4", frames[211:241], scale=0.75),
        write(tmp_path / "no.mp4", footage(6, 100)),
    ]
    assert sources_of(*paths).of == (0, 0, 1)


def test_pictures_without_contrast_are_like_nothing(tmp_path):
    black, grey = np.zeros((20, 120, 160, 3), np.uint8), np.full((20, 120, 160, 3), 90, np.uint8)
    paths = [write(tmp_path / "a.mp4", black), write(tmp_path / "b.mp4", grey)]
    assert sources_of(*paths).of == (0, 1)


def test_still_videos_are_the_same_only_if_their_pictures_are(tmp_path):
    still, other = (np.repeat(footage(n, 1), 20, axis=0) for n in (1, 2))
    paths = [
        write(tmp_path / "a.mp4", still),
        write(tmp_path / "b.mp4", still, bit_rate=800_000, rate=30),
        write(tmp_path / "c.mp4", other),
    ]
    assert sources_of(*paths).of == (0, 0, 1)


def test_many_videos_are_compared_at_fewer_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(matching, "_MOST_WORK", 1e6)
    paths = [
        write(tmp_path / "a.mp4", footage(1, 60)),
        write(tmp_path / "b.mp4", footage(1, 60), bit_rate=900_000),
        write(tmp_path / "c.mp4", footage(2, 60)),
    ]
    sources = sources_of(*paths)
    assert sources.step > 1 and sources.of == (0, 0, 1)
    assert f"every frame number {sources.step} was compared" in " ".join(sources.sentences())


def blank(*paths: str) -> tuple[list[VideoRecord], list[FileScan]]:
    """Videos without pictures: only their names count."""
    records = records_of(*map(Path, paths))
    return records, [FileScan(record.path) for record in records]


@pytest.mark.parametrize(
    "names",
    [
        ["a/x_f0000", "a/x_f0064", "a/x_f0128"],
        ["a/x-part1", "a/x-part2", "a/x-part10"],
        ["a/My film part 1", "a/my film Part 2"],
        ["a/id004_s4R_f0000", "a/id004_s4R_f0192"],
        ["a/v_Archery_g01_c01", "a/v_Archery_g01_c02"],
        ["a/dQw4w9WgXcQ_000010_000020", "a/dQw4w9WgXcQ_000030_000040"],
        ["a/rec_window_3", "b/rec_window_4"],
        ["a/VID_20240101_120000_f0000", "a/VID_20240101_120000_f0064"],
    ],
)
def test_names_that_mark_windows(names):
    records, scans = blank(*(f"{name}.mp4" for name in names))
    sources = find_sources(records, scans)
    assert sources.count == 1 and sources.by_name == len(names) - 1


@pytest.mark.parametrize(
    "names",
    [
        [f"a/video{n}" for n in range(1, 21)],
        ["a/VID_20240101_120000", "a/VID_20240101_120105", "a/20240101_120300"],
        ["a/IMG_0001", "a/IMG_0002"],
        ["a/clip (1)", "a/clip (2)"],
        ["jump/jump_001", "jump/jump_002"],
        ["a/x_001", "a/x_002"],  # nothing agrees: the pictures are unknown
        ["a/v_Archery_g01_c01", "a/v_Archery_g02_c01"],
        ["a/x_f0000", "b/x_f0000"],  # two classes with windows of one name each
        ["a/anna", "a/bob"],
    ],
)
def test_names_that_merely_end_in_a_number(names):
    records, scans = blank(*(f"{name}.mp4" for name in names))
    assert find_sources(records, scans).count == len(names)


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("anna_001", Mark.NUMBERED), ("IMG_001", Mark.COUNTED), ("jump_001", Mark.COUNTED),
        ("anna7", Mark.COUNTED), ("anna", None), ("anna_f7", Mark.WINDOW), ("1", None),
    ],
)  # fmt: skip
def test_how_much_a_name_says(name, mark):
    found = window_name(VideoRecord(Path(f"{name}.mp4"), "jump"))
    assert (found and found.mark) == mark


def test_numbered_names_where_the_scene_agrees(tmp_path):
    one = footage(3, 200)
    one = (one // 3 + one[:1] // 3 * 2).astype(np.uint8)  # small motion in a scene
    parts = [write(tmp_path / f"anna_{n:03}.mp4", one[60 * n : 60 * n + 40]) for n in range(3)]
    alike = [write(tmp_path / f"bob_{n:03}.mp4", footage(40 + n, 40)) for n in range(3)]
    takes = [write(tmp_path / f"IMG_{n:03}.mp4", one[70 * n : 70 * n + 20]) for n in (1, 2)]
    assert sources_of(*parts, *alike).of == (0, 0, 0, 1, 2, 3)
    assert sources_of(*takes).of == (0, 1)


def test_stated_groups_and_patterns():
    names = ["anna_1", "anna_2", "bob_1", "x_f0000", "x_f0064"]
    records, scans = blank(*(f"a/{name}.mp4" for name in names))
    assert find_sources(records, scans, r"(anna|bob)_").of == (0, 0, 1, 2, 2)
    assert find_sources(records, scans, "anna|bob").by_pattern == 1
    records[0] = VideoRecord(records[0].path, "a", group="first day")
    records[2] = VideoRecord(records[2].path, "a", group="first day")
    sources = find_sources(records, scans, "(anna|bob)")
    assert sources.of == (0, 1, 0, 2, 2) and (sources.by_group, sources.by_name) == (1, 1)


def test_pictures_count_whatever_groups_say(tmp_path):
    frames = footage(1, 50)
    paths = [write(tmp_path / "a.mp4", frames), write(tmp_path / "b.mp4", frames, scale=0.5)]
    records = [VideoRecord(path, "a", group=path.stem) for path in paths]
    assert find_sources(records, [scan_file(path) for path in paths]).count == 1


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "no regular expression"), ("zebra", "in none of the paths")]
)
def test_patterns_that_cannot_be_used(pattern, message):
    records, scans = blank("a/1.mp4", "a/2.mp4")
    with pytest.raises(DataError, match=f"--group.*{message}"):
        find_sources(records, scans, pattern)
