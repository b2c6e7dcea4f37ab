"""The check from files to sentences and tables."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from apps.own_videos.footage import footage, write
from paddlevideo.apps.own_videos import DataCheck, check_videos
from paddlevideo.utils.errors import DataError


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Two classes of three recordings; a copy, a copy under the other label, two bad files."""
    root = tmp_path_factory.mktemp("videos")
    for number in range(3):
        write(root / "jump" / f"take{number}.mp4", footage(number, 20))
        write(root / "walk" / f"take{number}.mp4", footage(10 + number, 30))
    shutil.copy(root / "jump/take0.mp4", root / "jump/again.mp4")
    shutil.copy(root / "jump/take1.mp4", root / "walk/wrong.mp4")
    (root / "walk/broken.mp4").write_bytes(b"no video")
    (root / "walk/empty.mp4").touch()
    return root


def table(check: DataCheck, title: str) -> dict:
    return next(found for found in check.tables() if found["title"] == title)


def test_sentences_and_tables(videos):
    check = check_videos(videos, share=0.34, workers=2)
    assert json.loads(json.dumps(check.as_dict()))["tables"] == check.tables()
    text = " ".join(check.sentences())
    for part in (
        "8 of 10 videos can be read, of 2 classes; the median video lasts",
        "2 videos cannot be read and are left out",
        "2 files are identical",
        "1 file is in two classes: walk/wrong.mp4 and jump/take1.mp4",
        "The 8 videos are from 6 recordings",
        "There was no split",
        "No recording is in both train and val",
    ):
        assert part in text
    by_class = table(check, "Videos by class and split")
    assert by_class["columns"] == [
        "class", "train", "val", "recordings", "median seconds", "unreadable",
    ]  # fmt: skip
    assert [row[0] for row in by_class["rows"]] == ["jump", "walk"]
    assert [sum(row[1:3]) for row in by_class["rows"]] == [4, 4]
    assert [row[-1] for row in by_class["rows"]] == [0, 2]
    bad = table(check, "Videos that cannot be read")["rows"]
    assert [row[0] for row in bad] == ["walk/broken.mp4", "walk/empty.mp4"]
    assert all(len(row) == len(t["columns"]) for t in check.tables() for row in t["rows"])


def test_footage_on_both_sides_of_a_stated_split(tmp_path):
    frames = footage(1, 40)
    for split, first in (("train", 0), ("val", 15)):
        write(tmp_path / split / "a" / f"{split}.mp4", frames[first : first + 25])
        write(tmp_path / split / "b" / f"{split}.mp4", footage(5 + first, 25))
    check = check_videos(tmp_path, workers=2)
    assert "1 recording is in more than one split" in " ".join(check.sentences())
    rows = table(check, "The same footage in different splits")["rows"]
    assert [row[0] for row in rows] == ["train/a/train.mp4"] and rows[0][1::3] == ["train", "val"]
    assert table(check, "Recordings in more than one split")["rows"][0][2] == ""


def test_a_class_of_which_nothing_can_be_read(tmp_path):
    write(tmp_path / "a" / "1.mp4", footage(1, 10))
    (tmp_path / "b").mkdir()
    (tmp_path / "b/2.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match="no video of b can be read"):
        check_videos(tmp_path, workers=1)
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/3.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"not one of its videos can be read: .*2\.mp4"):
        check_videos(tmp_path, workers=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pattern", "person"),
    [("handwash7", None, False), ("weizmann4", None, False), ("weizmann4", "(actor[0-9]+)", True)],
)
def test_real_videos_without_their_split(shared_dir, tmp_path, name, pattern, person):
    """What the manifest says was cut from one file, or mirrored, is on one side of the split."""
    with (shared_dir / "videos/MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].startswith(name)]
    origin = {}
    for row in rows:
        path = shared_dir / "videos" / row["path"]
        link = tmp_path / path.parent.name / path.name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(path)
        actor = re.search(r"actor=(\d+)", row["note"])
        base = path.stem[:-2] if name == "weizmann4" else row["source_path"]  # _a, _b: mirrored
        origin[link] = actor[1] if person and actor else base
    check = check_videos(tmp_path, pattern=pattern)
    sides = {(origin[r.path], p) for r, p in zip(check.records, check.split.of, strict=True)}
    assert len(check.records) == len(rows) and len(sides) == len(set(origin.values()))
    for counts in check.counts().values():
        assert 0.1 <= counts["val"] / sum(counts.values()) <= 0.35
