"""Every file is decoded once; one that hangs, crashes or is damaged costs only itself."""

import itertools
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from apps.own_videos.footage import footage, records_of, write
from paddlevideo.apps.own_videos import FileScan, scan
from paddlevideo.apps.own_videos.file_scan import MOST_THUMBNAILS, _Thumbnails, scan_file
from paddlevideo.apps.own_videos.scanning import start_reading
from paddlevideo.utils.crew import CrewOptions, for_each_file
from paddlevideo.utils.errors import DataError


def test_what_a_file_holds(tmp_path):
    path = write(tmp_path / "a.mp4", footage(1, 30), rate=15, scale=0.5)
    found = scan_file(path)
    assert found.is_usable and found.reason == "" and len(found.digest) == 64
    assert (found.width, found.height, found.frames_read, found.frames_lost) == (80, 60, 30, 0)
    assert found.frame_rate == pytest.approx(15) and found.duration_seconds == pytest.approx(2)
    prints = found.fingerprint
    assert prints.pictures.shape == (30, 16, 16) and len(prints.times_seconds) == 30
    assert (prints.first == prints.pictures[:2]).all() and (
        prints.last == prints.pictures[-2:]
    ).all()


def test_a_single_frame(tmp_path):
    found = scan_file(write(tmp_path / "a.mp4", footage(1, 1)))
    assert found.is_usable and found.frames_read == 1 and len(found.fingerprint.last) == 1


def test_long_files_have_no_more_thumbnails_at_even_distances():
    class Picture:
        rotation = 0

    thumbnails = _Thumbnails()
    thumbnails._thumbnail = lambda frame: frame
    for number in range(5 * MOST_THUMBNAILS):
        thumbnails.add(number, float(number))
    times = [seconds for seconds, _ in thumbnails._kept]
    assert MOST_THUMBNAILS // 2 <= len(times) <= MOST_THUMBNAILS
    assert {second - first for first, second in itertools.pairwise(times)} == {8.0}
    assert thumbnails._last == [5 * MOST_THUMBNAILS - 2, 5 * MOST_THUMBNAILS - 1]


def test_damaged_and_foreign_files_cost_only_themselves(tmp_path):
    good = write(tmp_path / "good.mp4", footage(1, 20))
    long = write(tmp_path / "long.avi", footage(2, 60)).read_bytes()
    hurt = bytearray(long)
    for place in range(len(hurt) // 3, len(hurt) // 3 + 2000):
        hurt[place] = 0
    (tmp_path / "hurt.avi").write_bytes(hurt)
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:1/x.ts\n")
    names = ["text.mp4", "empty.mp4", "folder.mp4", "list.mp4", "gone.mp4"]
    bad = [tmp_path / name for name in names]
    told: list[tuple[int, int]] = []
    found = scan(records_of(good, *bad, tmp_path / "hurt.avi", good), 2, lambda *n: told.append(n))
    assert told == [(number, 7) for number in range(1, 8)]
    assert found[0].is_usable and found[0] == found[-1]
    assert all(one.reason and not one.frames_read for one in found[1:6])
    for one, words in zip(found[1:6], ["", "empty", "folder", "", "no such file"], strict=True):
        assert words in one.reason and str(one.path) not in one.reason
    assert found[6].is_usable and 0 < found[6].frames_read <= 60


def difficult(path: Path) -> FileScan:
    if "hangs" in path.name:
        time.sleep(600)
    if "killed" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "once" in path.name and not path.exists():
        path.touch()
        os._exit(3)
    if "defect" in path.name:
        raise ZeroDivisionError("a defect")
    if "refused" in path.name:
        raise DataError("refused")
    return FileScan(path, frames_read=1)


def test_files_that_hang_or_crash_a_process(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLEVIDEO_LIMITS", "read_seconds=0.5,open_seconds=0.5")
    names = ["a", "killed", "b", "hangs", "once", "c"]
    paths = [tmp_path / name for name in names]
    start = partial(start_reading, difficult)
    results = dict(for_each_file(start, paths, CrewOptions(2, grace_seconds=0.5)))
    assert sorted(results) == list(range(6))
    assert [bool(getattr(results[n], "reason", "")) for n in range(6)] == [
        False, True, False, True, False, False,
    ]  # fmt: skip
    assert "SIGKILL" in results[1].reason and "too long" in results[3].reason


def test_a_crash_is_the_files_reason(tmp_path):
    found = scan(records_of(tmp_path / "killed", tmp_path / "b"), 1, work=difficult)
    assert not found[0].is_usable and "SIGKILL" in found[0].reason and found[1].frames_read == 1


@pytest.mark.parametrize(
    ("name", "error"), [("defect", RuntimeError), ("refused", DataError)], ids=str
)
def test_what_the_work_raises_is_raised(tmp_path, name, error):
    with pytest.raises(error, match=name):
        scan(records_of(tmp_path / name), 1, work=difficult)


def test_no_files():
    assert scan([], 2) == []
