"""The forms in which a user's videos come, and what is wrong with them."""

import unicodedata
from pathlib import Path

import pytest

from paddlevideo.apps.own_videos import read_videos
from paddlevideo.utils.errors import DataError


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(root: Path) -> list[tuple]:
    videos = read_videos(root)
    base = root if root.is_dir() else root.parent
    return [(str(r.path.relative_to(base)), r.class_name, r.split) for r in videos.records]


def test_class_folders(tmp_path):
    make(tmp_path, "jump/b.mp4", "jump/deep/a.MOV", "walk/c.webm", "walk/notes.txt")
    make(tmp_path, "walk/._c.webm", "__MACOSX/jump/._b.mp4", ".cache/x.mp4", "stray.mp4", "idle/x")
    assert found(tmp_path) == [
        ("jump/b.mp4", "jump", None),
        ("jump/deep/a.MOV", "jump", None),
        ("walk/c.webm", "walk", None),
    ]
    videos = read_videos(tmp_path)
    assert videos.class_names == ("jump", "walk")
    notes = " ".join(videos.notes)
    assert "no classes: idle" in notes and "1 .txt" in notes and "left out: stray.mp4" in notes


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "VAL"])
def test_splits_of_class_folders(tmp_path, name):
    make(tmp_path, "train/a/1.mp4", "train/b/2.mp4", f"{name}/a/3.mp4", "test/b/4.mp4", "old/5.mp4")
    videos = read_videos(tmp_path)
    assert [r.split for r in videos.records] == ["train", "train", "val", "test"]
    assert videos.class_names == ("a", "b")
    assert "left out: old" in " ".join(videos.notes)


def test_classes_that_are_called_like_splits(tmp_path):
    make(tmp_path, "train/1.mp4", "bus/2.mp4")
    assert [record[1] for record in found(tmp_path)] == ["bus", "train"]


def test_train_alone_is_no_split_and_train_with_test_keeps_test(tmp_path):
    make(tmp_path, "train/a/1.mp4", "train/b/2.mp4")
    assert [record[2] for record in found(tmp_path)] == [None, None]
    make(tmp_path, "test/a/3.mp4")
    assert [record[2] for record in found(tmp_path)] == ["train", "train", "test"]


def test_links_and_names_of_either_unicode_form(tmp_path):
    name = unicodedata.normalize("NFD", "café")
    make(tmp_path / "real", "1.mp4")
    make(tmp_path / "in", f"train/{name}/2.mp4", "train/b/3.mp4")
    make(tmp_path / "in", f"val/{unicodedata.normalize('NFC', 'café')}/4.mp4")
    (tmp_path / "in/train/b/linked").symlink_to(tmp_path / "real")
    videos = read_videos(tmp_path / "in")
    assert videos.class_names == ("b", unicodedata.normalize("NFC", "café"))
    assert len(videos.records) == 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1.mp4"], "all of one class.*at least two"),
        (["a/1.txt", "b/2.txt"], "holds no videos; expected .*<class>/<video>"),
        (["1.mp4"], "holds no class folders"),
        (["train/a/1.mp4", "train/b/2.mp4", "val/c/3.mp4"], "the class c is in val and not in"),
        (["train/a/1.mp4", "train/b/2.mp4", "val/a/3.mp4", "valid/a/4.mp4"], "val and valid"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path, names, message):
    make(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        read_videos(tmp_path)


def test_a_path_that_is_neither(tmp_path):
    with pytest.raises(DataError, match="no such folder or file"):
        read_videos(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"neither a folder nor a \.csv"):
        read_videos(make(tmp_path, "a.mp4") / "a.mp4")


def write_csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    make(folder, "v/1.mp4", "v/2.mp4", "v/3, 4.mp4")
    file = folder / "list.csv"
    file.write_text(text, encoding=encoding, newline="")
    return file


def test_csv(tmp_path):
    text = (
        "path,label,split,group,extra\r\n"
        "v/1.mp4,jump,train,anna,x\r\n"
        '"v/3, 4.mp4", walk ,Validation,,"two\r\nlines"\r\n'
        "\r\n"
        f"{tmp_path}/v/2.mp4,walk,train,bob,\r\n"
    )
    videos = read_videos(write_csv(tmp_path, text, "utf-8-sig"))
    assert [(r.path, r.class_name, r.split, r.group) for r in videos.records] == [
        (tmp_path / "v/1.mp4", "jump", "train", "anna"),
        (tmp_path / "v/3, 4.mp4", "walk", "val", None),
        (tmp_path / "v/2.mp4", "walk", "train", "bob"),
    ]
    assert [r.where.rpartition(":")[2] for r in videos.records] == ["2", "3", "6"]
    assert "not used: extra" in " ".join(videos.notes)


def test_csv_without_split_and_with_a_line_twice(tmp_path):
    videos = read_videos(
        write_csv(tmp_path, "label,path\na,v/1.mp4\nb,v/2.mp4\na,v/1.mp4\nb,v/gone.mp4\n")
    )
    assert [r.class_name for r in videos.records] == ["a", "b", "b"]
    assert "list.csv:4" in " ".join(videos.notes) and "listed twice" in " ".join(videos.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; a CSV needs"),
        ("v/1.mp4,a\nv/2.mp4,b\n", "list.csv:1: there is no column path"),
        ("path;label\nv/1.mp4;a\n", "separator is a comma, not ';'"),
        ("path,label,label\n", "label is there twice"),
        ("path,label\n", "lists no videos"),
        ("path,label\nv/1.mp4,a\nv/2.mp4\n", "list.csv:3: 1 fields, and the header has 2"),
        ("path,label\nv/1.mp4,a,b\n", 'needs quotes: "a, b"'),
        ("path,label\nv/1.mp4,\n", "list.csv:2: the label is empty"),
        ("path,label\n,a\n", "list.csv:2: the path is empty"),
        ('path,label\n"v/1.mp4,a\nv/2.mp4,b\n', "is not CSV"),
        ("path,label\nv/1\x00.mp4,a\n", "control character|NUL"),
        (f"path,label\n{'x' * 300}.mp4,a\n", "too long"),
        (f"path,label\nv/1.mp4,{'x' * 300}\n", "longer than 200"),
        ('path,label\nv/1.mp4,"a\nb"\n', "control characters"),
        (f"path,label\nv/1.mp4,{'x' * 200_000}\n", "is not CSV|longer"),
        ("path,label,split\nv/1.mp4,a,trian\n", 'unknown split .*did you mean "train"'),
        ("path,label,split\nv/1.mp4,a,train\nv/2.mp4,b,\n" + '"v/3, 4.mp4",a,val\n', ":3: has no"),
        ("path,label\nv/1.mp4,a\nv/1.mp4,b\n", "list.csv:3: .*another label.*list.csv:2"),
        ("path,label\nno/1.mp4,a\nno/2.mp4,b\n", "no such file.*relative to"),
        ("path,label\nv/1.mp4,a\nv/2.mp4,a\n", "all of one class"),
        ("path,label,split\nv/1.mp4,a,val\nv/2.mp4,b,test\n", "no videos for training"),
    ],
)
def test_csv_files_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_videos(write_csv(tmp_path, text))


def test_a_csv_that_is_no_text(tmp_path):
    file = write_csv(tmp_path, "")
    file.write_bytes(b"path,label\n\xff\xfe\x00a,b\n")
    with pytest.raises(DataError, match=r"not UTF-8 text \(line 2\)"):
        read_videos(file)
