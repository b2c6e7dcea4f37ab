"""Public data sets in their publishers' formats, as miniatures: lists, conversions."""

import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from paddlevideo.apps.prepare import prepare as module
from paddlevideo.apps.prepare.prepare import DATA_SETS
from paddlevideo.cli.main import main
from paddlevideo.cli.prepare import NAMES
from paddlevideo.loader.dataset.list_files import read_list

RATE = 10


def write_video(path: Path, num_frames: int = 8, size=(48, 32)) -> Path:
    """A video whose frame i is of the grey level 20 + 5 i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height = size
        stream.pix_fmt, stream.bit_rate = "yuv420p", 1_000_000
        for number in range(num_frames):
            image = np.full((size[1], size[0], 3), 20 + 5 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def broken(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"no video at all" * 50)
    return path


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Processes that start for a second each are tested once, below."""

    def for_each_file(start, paths, options):
        work = start()
        yield from ((index, work([path])[0]) for index, path in enumerate(paths))

    monkeypatch.setattr(module, "for_each_file", for_each_file)


def run(*arguments) -> None:
    main(["prepare", *map(str, arguments)])


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def left_out(folder: Path) -> dict[str, str]:
    found = map(json.loads, lines(folder / "left_out.jsonl"))
    return {entry["name"]: entry["reason"] for entry in found}


def numbers(folder: Path, split: str) -> dict[str, int]:
    return json.loads((folder / "prepared.json").read_text())["splits"][split]


@pytest.fixture
def kinetics(tmp_path) -> Path:
    """CSV files: a video is missing, one damaged, one named by its id; test has no labels."""
    header = "label,youtube_id,time_start,time_end,split,is_cc\n"
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "train.csv").write_text(
        header + "riding a bike,-abc_DEFG-1,5,15,train,0\n"
        '"air drumming, loud",bbbbbbbbbbb,10,20,train,0\nair guitar,ccccccccccc,0,10,train,0\n'
        "air guitar,ddddddddddd,7,17,train,0\n"
    )
    (tmp_path / "csv" / "validate.csv").write_text(
        "label,youtube_id,time_start,time_end\nriding a bike,eeeeeeeeeee,1,11\n"
    )
    (tmp_path / "csv" / "test.csv").write_text(
        "youtube_id,time_start,time_end,split\nfffffffffff,1,11,test\n"
    )
    videos = tmp_path / "videos"
    write_video(videos / "train" / "riding_a_bike" / "-abc_DEFG-1_000005_000015.mp4")
    write_video(videos / "other" / "-abc_DEFG-1_000005_000015.mp4")
    write_video(videos / "train" / "bbbbbbbbbbb.mp4")
    broken(videos / "train" / "ccccccccccc_000000_000010.mp4")
    write_video(videos / "val" / "eeeeeeeeeee_000001_000011.mkv")
    return tmp_path


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_kinetics(kinetics, capsys):
    out = kinetics / "out"
    options = ("--annotations", kinetics / "csv", "--videos", kinetics / "videos", "--output", out)
    run("kinetics400", *options)
    assert lines(out / "classes.txt") == ["air drumming, loud", "air guitar", "riding a bike"]
    assert lines(out / "train_videos.list") == [
        "train/riding_a_bike/-abc_DEFG-1_000005_000015.mp4 2",
        "train/bbbbbbbbbbb.mp4 0",
    ]
    assert lines(out / "val_videos.list") == ["val/eeeeeeeeeee_000001_000011.mkv 2"]
    assert not (out / "test_videos.list").exists()
    reasons = left_out(out)
    assert reasons["ddddddddddd_000007_000017"] == "no video of this name"
    assert reasons["ccccccccccc_000000_000010"] and len(reasons) == 2
    assert numbers(out, "train") == {"usable": 2, "missing": 1, "damaged": 1, "without_label": 0}
    assert numbers(out, "test")["without_label"] == 1
    said = capsys.readouterr().out
    assert "2 samples are left out" in said and f"data_prefix: {kinetics / 'videos'}" in said
    records = read_list(out / "train_videos.list", str(kinetics / "videos"))
    assert [record.label for record in records] == [2, 0]
    assert all(Path(record.path).is_file() for record in records)


def test_kinetics_as_json(kinetics):
    entry = {"annotations": {"label": "air guitar", "segment": [10, 20]}, "subset": "train"}
    (kinetics / "k.json").write_text(json.dumps({"bbbbbbbbbbb": entry}))
    options = ("--videos", kinetics / "videos", "--output", kinetics / "out", "--check", "none")
    run("kinetics700", "--annotations", kinetics / "k.json", *options)
    assert lines(kinetics / "out" / "train_videos.list") == ["train/bbbbbbbbbbb.mp4 0"]


def test_a_full_check_finds_what_a_first_frame_hides(kinetics):
    path = write_video(kinetics / "videos" / "train" / "ddddddddddd.avi", num_frames=40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 8 // 10])
    options = ("--annotations", kinetics / "csv", "--videos", kinetics / "videos")
    run("kinetics400", *options, "--output", kinetics / "out", "--check", "full")
    assert json.loads((kinetics / "out" / "prepared.json").read_text())["frames_lost"] > 0
    assert "ddddddddddd_000007_000017" not in left_out(kinetics / "out")


def test_re_encoding_goes_on_where_it_was(kinetics):
    """340 pixels in truth; a key frame each second; what is there is not made again."""
    write_video(kinetics / "videos" / "train" / "ddddddddddd.mp4", num_frames=35, size=(96, 64))
    options = ("--annotations", kinetics / "csv", "--videos", kinetics / "videos")
    options = (*options, "--output", kinetics / "out", "--short_side", 48)
    run("kinetics400", *options)
    clip = kinetics / "out" / "clips" / "train" / "ddddddddddd.mp4"
    with av.open(str(clip)) as container:
        frames = list(container.decode(video=0))
    assert (frames[0].width, frames[0].height) == (72, 48) and len(frames) == 35
    keys = [round(float(frame.time), 2) for frame in frames if frame.key_frame]
    assert keys == [0.0, 1.0, 2.0, 3.0]
    assert np.allclose(
        [f.to_ndarray(format="gray").mean() for f in frames], 20 + 5 * np.arange(35), atol=3
    )
    small = kinetics / "out" / "clips" / "train" / "bbbbbbbbbbb.mp4"
    with av.open(str(small)) as container:  # not enlarged
        assert container.streams.video[0].height == 32
    before = clip.stat().st_mtime_ns
    small.unlink()
    run("kinetics400", *options)
    assert clip.stat().st_mtime_ns == before and small.exists()
    assert lines(kinetics / "out" / "train_videos.list")[-1] == "train/ddddddddddd.mp4 1"
    assert not list((kinetics / "out").rglob("*.tmp"))


@pytest.fixture
def ucf101(tmp_path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "classInd.txt").write_text("1 ApplyEyeMakeup\n2 YoYo\n")
    (tmp_path / "lists" / "trainlist02.txt").write_text(
        "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\nYoYo/v_YoYo_g09_c01.avi 2\n"
    )
    (tmp_path / "lists" / "testlist02.txt").write_text("YoYo/v_YoYo_g01_c01.avi\n")
    for name in ("ApplyEyeMakeup_g08_c01", "YoYo_g09_c01", "YoYo_g01_c01"):
        write_video(tmp_path / "UCF-101" / name.split("_")[0] / f"v_{name}.avi")
    return tmp_path


def test_ucf101(ucf101):
    options = ("--annotations", ucf101 / "lists", "--videos", ucf101 / "UCF-101", "--fold", 2)
    run("ucf101", *options, "--output", ucf101 / "out")
    assert lines(ucf101 / "out" / "classes.txt") == ["ApplyEyeMakeup", "YoYo"]
    assert lines(ucf101 / "out" / "val_videos.list") == ["YoYo/v_YoYo_g01_c01.avi 1"]
    assert lines(ucf101 / "out" / "train_videos.list")[0].endswith("v_ApplyEyeMakeup_g08_c01.avi 0")


@pytest.mark.parametrize("start_index", [0, 1])
def test_frames(ucf101, start_index):
    """Folders of images that FrameDataset's list form describes."""
    options = ("--annotations", ucf101 / "lists", "--videos", ucf101 / "UCF-101", "--fold", 2)
    run("ucf101", *options, "--output", ucf101 / "out", "--frames", "--start_index", start_index)
    records = read_list(
        ucf101 / "out" / "train.list", str(ucf101 / "out" / "frames"), counts_frames=True
    )
    assert [record.num_frames for record in records] == [8, 8]
    images = sorted(Path(records[0].path).iterdir())
    assert images[0].name == f"img_{start_index:05}.jpg" and len(images) == 8
    assert abs(cv2.imread(str(images[3])).mean() - 35) < 3


def test_hmdb51(tmp_path):
    lists = tmp_path / "splits"
    lists.mkdir()
    (lists / "brush_hair_test_split1.txt").write_text(
        "a b_brush!_f_nm.avi 1 \nb_brush_hair.avi 2\n"
    )
    (lists / "wave_test_split1.txt").write_text("c_wave.avi 1 \nd_wave.avi 0 \n")
    for path in (
        "brush_hair/a b_brush!_f_nm",
        "brush_hair/b_brush_hair",
        "wave/c_wave",
        "wave/d_wave",
    ):
        write_video(tmp_path / "videos" / f"{path}.avi")
    options = (
        "--annotations",
        lists,
        "--videos",
        tmp_path / "videos",
        "--output",
        tmp_path / "out",
    )
    run("hmdb51", *options)
    assert lines(tmp_path / "out" / "train_videos.list") == [
        "brush_hair/a b_brush!_f_nm.avi 0", "wave/c_wave.avi 1",
    ]  # fmt: skip
    assert lines(tmp_path / "out" / "val_videos.list") == ["brush_hair/b_brush_hair.avi 0"]


def test_something_something(tmp_path):
    notes = tmp_path / "notes"
    notes.mkdir()
    name = "something-something-v2"
    labels = {"Pushing something to the left": "1", "Holding something": "0"}
    train = [{"id": "78687", "label": "holding potato", "template": "Holding [something]",
              "placeholders": ["potato"]}]  # fmt: skip
    val = [{"id": "74225", "label": "x", "template": "Pushing [something] to the left"}]
    for stem, content in (("labels", labels), ("train", train), ("validation", val),
                          ("test", [{"id": "1420"}])):  # fmt: skip
        (notes / f"{name}-{stem}.json").write_text(json.dumps(content))
    for number in ("78687", "74225", "1420"):
        write_video(tmp_path / "videos" / f"{number}.avi")
    options = (
        "--annotations",
        notes,
        "--videos",
        tmp_path / "videos",
        "--output",
        tmp_path / "out",
    )
    run(name, *options)
    assert lines(tmp_path / "out" / "classes.txt") == [
        "Holding something",
        "Pushing something to the left",
    ]
    assert lines(tmp_path / "out" / "train_videos.list") == ["78687.avi 0"]
    assert lines(tmp_path / "out" / "val_videos.list") == ["74225.avi 1"]
    assert numbers(tmp_path / "out", "test")["without_label"] == 1


def test_windows_of_activitynet(tmp_path):
    """Each window is a clip of its own frames; one that begins behind the end is left out."""
    segments = [[0.2, 0.6], [1.0, 1.5], [50.0, 51.0]]
    windows = [{"label": "Surfing", "segment": segment} for segment in segments]
    entry = {"subset": "training", "duration": 2.0, "annotations": windows}
    database = {"abc": entry, "xyz": {"subset": "testing", "annotations": []}}
    (tmp_path / "activity_net.v1-3.min.json").write_text(json.dumps({"database": database}))
    write_video(tmp_path / "videos" / "v_abc.mp4", num_frames=20)
    options = (
        "--annotations",
        tmp_path / "activity_net.v1-3.min.json",
        "--videos",
        tmp_path / "videos",
    )
    run("activitynet", *options, "--output", tmp_path / "out")
    listed = lines(tmp_path / "out" / "train_videos.list")
    assert listed == [
        "train/v_abc_000000200_000000600.mp4 0", "train/v_abc_000001000_000001500.mp4 0",
    ]  # fmt: skip
    assert "no frames in the window" in left_out(tmp_path / "out")["v_abc"]
    with av.open(str(tmp_path / "out" / "clips" / listed[0].split()[0])) as container:
        frames = list(container.decode(video=0))
    levels = [frame.to_ndarray(format="gray").mean() for frame in frames]
    assert np.allclose(levels, [30, 35, 40, 45], atol=3)
    assert frames[0].pts == 0 and frames[1].pts * frames[1].time_base == Fraction(1, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ucf101", "--fold", 4), "ucf101 has 3 of them"),
        (("ucf101", "--image_name", "a{:05}.jpg"), "image_name"),
        (("ucf101", "--frames", "--image_name", "a.jpg"), "must hold a place"),
        (("ucf101", "--frames", "--check", "full"), "leave it out"),
        (("ucf101", "--short_side", 3), "16 to 4320"),
        (("ucf101", "--workers", 0), "at least 1"),
        (("hmdb51",), "test_split1"),
        (("kinetics400",), "no .csv"),
        (("activitynet",), "holds no file"),
    ],
)
def test_errors(arguments, message, ucf101, capsys):
    options = ("--annotations", ucf101 / "lists", "--videos", ucf101 / "UCF-101")
    with pytest.raises(SystemExit) as end:
        run(*arguments, *options, "--output", ucf101 / "out")
    assert end.value.code == 1
    assert message in capsys.readouterr().err
    assert not (ucf101 / "out").exists()


@pytest.mark.parametrize("text", ["label\n", "", "label,youtube_id,time_start,time_end\na,b,x,2\n"])
def test_annotations_of_another_form(text, tmp_path, capsys):
    (tmp_path / "train.csv").write_text(text)
    write_video(tmp_path / "videos" / "a.mp4")
    with pytest.raises(SystemExit) as end:
        run("kinetics400", "--annotations", tmp_path / "train.csv", "--videos", tmp_path / "videos",
            "--output", tmp_path / "out")  # fmt: skip
    assert end.value.code == 1 and "train.csv" in capsys.readouterr().err


def test_names_and_folds_of_the_command():
    assert {name: data_set.folds for name, data_set in DATA_SETS.items()} == NAMES


def test_with_processes(ucf101, monkeypatch):
    from paddlevideo.utils.crew import for_each_file

    monkeypatch.setattr(module, "for_each_file", for_each_file)
    options = ("--annotations", ucf101 / "lists", "--videos", ucf101 / "UCF-101", "--fold", 2)
    run("ucf101", *options, "--output", ucf101 / "out", "--short_side", 32, "--workers", 2)
    assert len(lines(ucf101 / "out" / "train_videos.list")) == 2
