"""What is planted in lists and folders is found, and cleaned lists do without it."""

import json
import shutil

import numpy as np
import pytest

from apps.own_videos.footage import footage, write
from paddlevideo.apps.dataset_check.findings import Kind
from paddlevideo.apps.dataset_check.listing import read_listings
from paddlevideo.apps.dataset_check.of_config import too_short
from paddlevideo.apps.own_videos.file_scan import FileScan, Fingerprint
from paddlevideo.cli.main import main
from paddlevideo.utils.errors import DataError
from paddlevideo.video.clip_input import ClipInput


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Lists of train and val with one of everything."""
    root = tmp_path_factory.mktemp("planted")
    for name, seed in (("a", 1), ("b", 2), ("c", 3), ("d", 4)):
        write(root / f"{name}.mp4", footage(seed, 40))
    shutil.copy(root / "a.mp4", root / "copy.mp4")
    shutil.copy(root / "b.mp4", root / "b_in_val.mp4")
    shutil.copy(root / "d.mp4", root / "other_label.mp4")
    write(root / "c_small.mp4", footage(3, 40), scale=0.5, bit_rate=400_000)
    (root / "empty.mp4").touch()
    (root / "text.mp4").write_text("no video\n" * 99)
    (root / "train.list").write_text(
        "a.mp4 0\nb.mp4 1\nc.mp4 0\nd.mp4 0\ncopy.mp4 0\nother_label.mp4 1\nempty.mp4 1\n"
        "gone.mp4 1\ntext.mp4 0\n"
    )
    (root / "val.list").write_text("b_in_val.mp4 1\nc_small.mp4 0\n")
    return root


def command(capsys, *arguments):
    code = 0
    try:
        main(["check-data", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    return code, capsys.readouterr()


def test_everything_planted_is_found(planted, tmp_path, capsys):
    lists = planted / "train.list", planted / "val.list"
    found, page, clean = tmp_path / "found.json", tmp_path / "found.html", tmp_path / "clean.txt"
    options = ("--prefix", planted, "--json", found, "--html", page, "--fix", clean)
    code, said = command(capsys, *lists, *options, "--workers", "2")
    assert code == 1 and "error: 3 samples cannot be used" in said.err
    findings = {
        (each["kind"], each["path"].rpartition("/")[2], (each["other"] or "").rpartition("/")[2])
        for each in json.loads(found.read_text())["findings"]
        if each["kind"] != "odd"
    }
    assert findings == {
        ("empty", "empty.mp4", ""),
        ("missing", "gone.mp4", ""),
        ("unreadable", "text.mp4", ""),
        ("identical", "copy.mp4", "a.mp4"),
        ("identical", "other_label.mp4", "d.mp4"),
        ("identical_across", "b_in_val.mp4", "b.mp4"),
        ("near_across", "c.mp4", "c_small.mp4"),
        ("two_labels", "other_label.mp4", "d.mp4"),
    }
    assert "train: 9 samples, 3 unusable, 0 with lost frames" in said.out
    assert "other_label.mp4 (1)" in said.out and "duration (s)" in said.out
    assert "The same footage in different splits" in page.read_text(encoding="utf-8")
    # The copy in val stays: who tests with it wants the same set.
    names = [
        line.rpartition("/")[2] for line in (tmp_path / "clean_train.txt").read_text().splitlines()
    ]
    assert names == ["a.mp4 0", "c.mp4 0"]
    assert "no sample is left of 1 in train\n" in said.out and "EMPTY" not in said.out
    names = [
        line.rpartition("/")[2] for line in (tmp_path / "clean_val.txt").read_text().splitlines()
    ]
    assert names == ["b_in_val.mp4 1", "c_small.mp4 0"]
    code, said = command(capsys, *lists, *options)
    assert code == 1 and "clean_train.txt exists and is not written over" in said.err


def test_a_list_of_which_nothing_stays_says_so(planted, tmp_path, capsys):
    listed, clean = tmp_path / "bad.list", tmp_path / "clean.txt"
    listed.write_text("empty.mp4 0\ntext.mp4 1\n")
    code, said = command(capsys, listed, "--prefix", planted, "--fix", clean)
    assert code == 1 and clean.read_text() == ""
    assert f"{clean}: EMPTY: no sample of it can be used" in said.out


def test_options_that_do_nothing_are_refused(planted, capsys):
    for options, words in (
        (("--split", "train"), "--split has no effect here"),
        (("--no-throughput",), "--no-throughput has no effect here"),
        (("-c", "x.yaml"), "leave one out"),
        (("--workers", "0"), "--workers must be at least 1"),
    ):
        code, said = command(capsys, planted / "val.list", *options)
        assert code == 1 and words in said.err
    assert "nothing to check" in command(capsys)[1].err


def test_folders_of_any_kind(tmp_path):
    def listed(*names):
        root = tmp_path / str(len(names))
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        listing = read_listings([root])
        return [(each.split, each.label) for each in listing.entries], listing

    assert listed("a.mp4")[0] == [("all", "")]
    assert listed("run/a.mp4", "b.mp3")[0] == [("all", ""), ("all", "run")]
    found, listing = listed("train/run/a.mp4", "val/run/x/b.avi", "notes.txt")
    assert found == [("train", "run"), ("val", "run")]
    assert "1 files are not taken for videos" in listing.notes[0]
    # a class may be called so
    names = ["train/x/a.mp4", "bus/a.mp4", "bus/b.mp4", "car/b.mp4"]
    assert listed(*names)[0][-1] == ("all", "train")
    with pytest.raises(DataError, match="no such file or folder"):
        read_listings([tmp_path / "gone"])


def test_a_csv_lists_one_path_twice(tmp_path):
    (tmp_path / "t.csv").write_text(
        "path,label,split\na.mp4,x,valid\na.mp4,y,train\nb.mp4,,train\n"
    )
    listing = read_listings([tmp_path / "t.csv"])
    assert [(e.split, e.label) for e in listing.entries] == [
        ("val", "x"), ("train", "y"), ("train", "")
    ]  # fmt: skip
    assert listing.classes == ("x", "y")


def scan_of(num_frames, rate):
    times = np.arange(num_frames) / rate
    none = np.empty((0, 16, 16), np.uint8)
    prints = Fingerprint(np.empty((num_frames, 16, 16), np.uint8), times, none, none)
    return FileScan(
        "x", duration_seconds=num_frames / rate, frames_read=num_frames, fingerprint=prints
    )


@pytest.mark.parametrize(
    ("sample", "enough"),
    [
        ({"name": "UniformSampler", "num_frames": 16}, 16),
        ({"name": "StridedSampler", "num_frames": 8, "stride": 3}, 22),
        ({"name": "StridedSampler", "num_frames": 8, "stride": 3, "num_clips": 3}, 22),
        ({"name": "UniformSampler", "num_frames": 16, "num_clips": 2}, 16),
        ({"name": "Sampler", "num_seg": 8, "seg_len": 2}, 16),
        ({"name": "Sampler", "num_seg": 8, "seg_len": 2, "valid_mode": True}, 16),
        ({"name": "Sampler", "num_seg": 8, "dense_sample": True, "valid_mode": True}, 57),
        ({"name": "StridedSampler", "num_frames": 8, "stride": 3, "stride_fps": 25}, 21),
    ],
)
def test_shorter_than_the_sampler_needs(sample, enough):
    clip_input = ClipInput({"sample": sample}, "PIPELINE")
    assert too_short(clip_input, scan_of(enough, 25)) == ""
    assert too_short(clip_input, scan_of(enough - 1, 25))


def test_kinds_are_told_apart():
    assert {kind for kind in Kind if kind.is_unusable} >= {Kind.MISSING, Kind.LABEL}
    assert not Kind.ODD.is_unusable


def test_a_config_of_several_views(planted, capsys):
    """Its pictures pass the crops, or do not fit."""
    sample = "{name: UniformSampler, num_frames: 8, num_clips: 2}"
    changes = [
        f"DATASET.test={{format: VideoDataset, file_path: {planted / 'val.list'}, "
        f"data_prefix: {planted}}}",
        "DATASET.class_names=null",
        "MODEL.head.num_classes=2",
        f"output_dir={planted / 'run'}",
        f"PIPELINE.test.sample={sample}",
    ]
    for size, code in ((32, 0), (4000, 1)):
        crop = f"[{{UniformCrop: {{target_size: {size}}}}}, {{Image2Array: null}}]"
        scaled = crop.replace("[{", "[{Scale: {short_size: 32}}, {", 1) if not code else crop
        options = [
            part for c in [*changes, f"PIPELINE.test.transform={scaled}"] for part in ("-o", c)
        ]
        flags = ["--split", "test", "--no-throughput"]
        found, said = command(capsys, "movinet_a0_motion", *options, *flags)
        assert found == code, said.err
    assert "smaller than the crop" in said.out
