"""Results in a file: what is in it is skipped, a cut line is mended, other files are left alone."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video.conftest import write_video

from paddlevideo.apps.bulk.prediction import VideoFailure, predict_files
from paddlevideo.apps.bulk.results import ResultFile, StreamFile
from paddlevideo.apps.bulk.workers import predict_with_workers
from paddlevideo.runtime.class_scores import ClassScore
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.predictor import VideoResult, open_predictor
from paddlevideo.runtime.streams.timeline import StreamResult
from paddlevideo.utils.errors import DataError

TOP = (ClassScore('a "quoted", name', 3, 0.75), ClassScore(None, 0, 0.25))


def result(name: str) -> VideoResult:
    return VideoResult(name, TOP, frames_read=12, frames_lost=1)


def fill(path, entries):
    with ResultFile(path, top_k=2) as file:
        for entry in entries:
            file.write(entry)


ENTRIES = [result("日本 1.mp4"), VideoFailure("b.mp4", "b.mp4: broken\n  twice"), result("c,d.mp4")]
NAMES = [Path("日本 1.mp4"), Path("b.mp4"), Path("c,d.mp4")]


def test_csv(tmp_path):
    path = tmp_path / "out" / "r.csv"
    fill(path, ENTRIES)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [str(name) for name in NAMES]
    assert rows[0]["label_1"] == 'a "quoted", name' and rows[0]["label_2"] == ""
    assert (rows[0]["index_1"], rows[0]["score_1"], rows[0]["error"]) == ("3", "0.75", "")
    assert (rows[0]["frames_read"], rows[0]["frames_lost"]) == ("12", "1")
    assert rows[1]["error"] == "b.mp4: broken twice" and rows[1]["index_1"] == ""


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["r.jsonl", "r.csv"]), st.integers(0, 400))
def test_a_file_cut_anywhere_is_gone_on_with(tmp_path_factory, name, cut):
    """Whatever byte the last run ended at, a second one makes the file of one whole run."""
    path = tmp_path_factory.mktemp("cut") / name
    fill(path, ENTRIES)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole))])
    if 0 < cut < len(b"file,error"):
        return  # too little to know it for ours; see below
    with ResultFile(path, top_k=2) as file:
        left = file.remaining(NAMES)
        for entry in ENTRIES[len(ENTRIES) - len(left) :]:
            file.write(entry)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv"])
def test_results_of_another_bundle_or_video_are_made_anew(tmp_path, name, caplog):
    """What was said of the old one is taken out, and said to be."""
    path, videos = tmp_path / name, [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for video in videos:
        video.write_bytes(b"a video")
    with ResultFile(path, top_k=2, bundle="one") as file:
        for video in videos:
            file.write(result(str(video)))
    with ResultFile(path, top_k=2, bundle="one") as file:
        assert file.remaining(videos) == []
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    videos[0].write_bytes(b"another video")
    with ResultFile(path, top_k=2, bundle="one") as file:
        assert file.remaining(videos) == videos[:1]
        file.write(result(str(videos[0])))
    assert "1 of 2 results are of another bundle" in caplog.text
    assert path.read_text().count("a.mp4") == path.read_text().count("b.mp4") == 1
    with ResultFile(path, top_k=2, bundle="two") as file:
        assert file.remaining(videos) == videos


def test_results_without_an_identity_are_made_anew(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"file": "a.mp4", "predictions": []}\n')
    with ResultFile(path, top_k=2) as file:
        assert file.remaining([Path("a.mp4")]) == [Path("a.mp4")]
    assert path.read_text() == ""


def test_a_full_disk_is_one_message():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(DataError, match="cannot be written: No space left") as caught,
        StreamFile(full) as file,
    ):
        file.write(StreamResult(0.2, TOP, 3.14159))
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_file_that_is_listed_twice_is_done_twice(tmp_path):
    path = tmp_path / "r.jsonl"
    fill(path, [result("a.mp4")])
    with ResultFile(path, top_k=2) as file:
        assert file.remaining([Path("a.mp4"), Path("b.mp4"), Path("a.mp4")]) == [
            Path("b.mp4"),
            Path("a.mp4"),
        ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.jsonl", b"my notes", "is no file of results"),
        ("r.jsonl", b"my notes\n", "line 1 is no result"),
        ("r.jsonl", b'{"file": "a.mp4"}\n[1]\n', "line 2 is no result"),
        ("r.jsonl", b"\xff\xfe\n", "is no file of results"),
        ("r.csv", b"path,label\na.mp4,0\n", "has other columns"),
        ("r.csv", b"file,error,label_1,index_1,score_1\n", r"another --top_k has others too"),
    ],
)
def test_other_files_are_left_as_they_are(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        ResultFile(tmp_path / name, top_k=2)
    assert (tmp_path / name).read_bytes() == content


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        ResultFile(tmp_path, top_k=1)


def test_steps_of_a_stream(tmp_path):
    step = StreamResult(0.2, TOP, 3.14159)
    for name, expected in (
        (
            "s.csv",
            'time_seconds,label,index,score,latency_ms\n0.2,"a ""quoted"", name",3,0.75,3.142\n',
        ),
        ("s.jsonl", json.dumps(step.as_dict()) + "\n"),
    ):
        (tmp_path / name).write_text("an older file")
        with StreamFile(tmp_path / name) as file:
            file.write(step)
        assert (tmp_path / name).read_text() == expected


def test_several_processes_give_what_one_gives(exported, tmp_path):
    """In order, failures in between, with a share of the cores each."""
    paths = [write_video(tmp_path / f"v{n}.mp4", 6 + n) for n in range(4)]
    paths.insert(2, tmp_path / "missing.mp4")
    options = EngineOptions(device="cpu", cpu_threads=1)
    one = list(predict_files(open_predictor(exported, options), paths, 2, top_k=2))
    several = list(predict_with_workers(exported, options, paths, 2, 2, num_workers=2))
    assert [type(r) for r in several] == [type(r) for r in one]
    for ours, theirs in zip(several, one, strict=True):
        assert ours.path == theirs.path
        if isinstance(ours, VideoFailure):
            assert ours == theirs
        else:
            assert ours.score == pytest.approx(theirs.score, rel=1e-4)
            assert [t.index for t in ours.top] == [t.index for t in theirs.top]
