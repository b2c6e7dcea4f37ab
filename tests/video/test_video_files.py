"""The walk over a folder of videos: links, loops, hidden names."""

from pathlib import Path

from paddlevideo.apps.bulk.prediction import find_videos
from paddlevideo.loader.dataset import class_names_of
from paddlevideo.video.video_files import files_under


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names_under(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in files_under(root)]


def test_linked_folders_are_followed_and_loops_end(tmp_path, caplog):
    make(tmp_path, "all/a.mp4", "all/deep/b.mp4", "elsewhere/c.mp4", "elsewhere/d.m2ts")
    (tmp_path / "all" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "all" / "deep" / "up").symlink_to(tmp_path / "all")
    (tmp_path / "all" / "e.mp4").symlink_to(tmp_path / "elsewhere" / "c.mp4")
    (tmp_path / "all" / "gone.mp4").symlink_to(tmp_path / "nowhere")
    expected = ["a.mp4", "deep/b.mp4", "e.mp4", "linked/c.mp4", "linked/d.m2ts"]
    assert names_under(tmp_path / "all") == expected
    assert "1 links lead nowhere and are left out" in caplog.text and "gone.mp4" in caplog.text
    assert [str(p.relative_to(tmp_path / "all")) for p in find_videos(tmp_path / "all")] == expected


def test_hidden_names_at_any_depth(tmp_path):
    make(tmp_path, "x/a.mp4", "x/._a.mp4", "x/.git/b.mp4", "x/deep/__MACOSX/._a.mp4", "y/c.mp4")
    make(tmp_path, "__MACOSX/x/._a.mp4", ".cache/d.mp4")
    assert names_under(tmp_path) == ["x/a.mp4", "y/c.mp4"]
    assert find_videos(tmp_path) == [tmp_path / "x/a.mp4", tmp_path / "y/c.mp4"]
    assert class_names_of(tmp_path) == ["x", "y"]
