"""Accuracy is that of the right classes, whatever class folders a split lacks."""

import json
import shutil

import av
import pytest

from .conftest import CLASSES, NAME, metrics, run, write_config


@pytest.fixture(scope="module")
def with_weights(tiny, trained):
    """The run's config with other test folders, and its weights."""
    _, cwd = trained
    return tiny, cwd / "output" / NAME / f"{NAME}_best.pdparams"


def accuracy(main_here, folder, config, weights):
    done = main_here("--test", "-c", write_config(folder / "t.yaml", config), "-w", weights)
    assert done.code == 0, done.stderr
    return metrics(folder / "output" / NAME, "test")[-1], done.stderr


@pytest.mark.parametrize("missing", CLASSES)
@pytest.mark.parametrize("train_is_there", [True, False])
def test_a_class_missing_in_test(main_here, with_weights, tmp_path, missing, train_is_there):
    tiny, weights = with_weights
    shutil.copytree(tiny.root / "val", tmp_path / "partial" / "test")
    shutil.rmtree(tmp_path / "partial" / "test" / missing)
    config = tiny.config("FolderDataset")
    config["DATASET"]["test"] = {"format": "FolderDataset", "root": "partial/test"}
    # the truth: the same videos in a list, which gives each its number
    lines = [
        f"{path} {CLASSES.index(path.parent.name)}\n"
        for path in sorted((tmp_path / "partial" / "test").rglob("*.mp4"))
    ]
    (tmp_path / "truth.list").write_text("".join(lines))
    truth = tiny.config("VideoDataset")
    truth["DATASET"]["test"] = {"format": "VideoDataset", "file_path": "truth.list"}
    if not train_is_there:
        config["DATASET"]["train"] = {"format": "FolderDataset", "root": "not/here"}
    expected, _ = accuracy(main_here, tmp_path, truth, weights)
    found, said = accuracy(main_here, tmp_path, config, weights)
    assert (found["top1"], found["samples"]) == (expected["top1"], expected["samples"])
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert f"no videos of 1 of 3 classes: {missing}" in said


def test_another_name_is_an_error(main_here, with_weights, tmp_path):
    tiny, weights = with_weights
    shutil.copytree(tiny.root / "val", tmp_path / "test")
    (tmp_path / "test" / "green").rename(tmp_path / "test" / "emerald")
    config = tiny.config("FolderDataset")
    config["DATASET"]["test"] = {"format": "FolderDataset", "root": "test"}
    path = write_config(tmp_path / "t.yaml", config)
    assert "class folder emerald" in main_here("--test", "-c", path, "-w", weights).error()


@pytest.mark.parametrize("num_classes", [2, 5])
def test_as_many_classes_as_folders(main_here, tiny, tmp_path, num_classes):
    config = tiny.config("FolderDataset")
    config["MODEL"]["head"]["num_classes"] = num_classes
    path = write_config(tmp_path / "c.yaml", config)
    assert f"names 3 classes, the model has {num_classes}" in main_here("-c", path).error()


def test_check_data_names_lost_frames_and_missing_files(tiny, tmp_path):
    """A damaged video can be used, and is named; each missing file is looked at once."""
    good = next((tiny.root / "train").rglob("*.mp4"))
    data = bytearray(good.read_bytes())
    with av.open(str(good)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][3]
    data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    (tmp_path / "damaged.mp4").write_bytes(data)
    missing = [f"missing_{number}.mp4 0\n" for number in range(200)]
    (tmp_path / "t.list").write_text(f"{good} 0\ndamaged.mp4 1\n{''.join(missing)}")
    config = tiny.config("VideoDataset")
    config["DATASET"] |= {"train": {"format": "VideoDataset", "file_path": "t.list"}}
    path = write_config(tmp_path / "c.yaml", config)
    done = run(
        *("tools/check_data.py", "-c", path, "--split", "train", "--output", "o.jsonl"),
        cwd=tmp_path,
    )
    assert "200 samples cannot be used" in done.error()
    assert "202 samples, 200 unusable, 1 with lost frames" in done.stdout
    assert len(done.stdout.splitlines()) < 120 and "... and 100 more" in done.stdout
    entries = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert len(entries) == 201
    (damaged,) = (entry for entry in entries if entry["path"] == "damaged.mp4")
    assert not damaged["reason"] and damaged["frames_lost"] >= 1 and damaged["frames_read"] >= 1


def test_check_data_prints_classes_by_splits(tiny, tmp_path):
    path = write_config(tmp_path / "c.yaml", tiny.config("FolderDataset"))
    done = run("tools/check_data.py", "-c", path, cwd=tmp_path)
    assert done.code == 0, done.stderr
    check = json.loads((tmp_path / "output" / NAME / "data_check.json").read_text())
    assert check["summary"][0] == "train: 7 samples, 0 unusable, 0 with lost frames."
    assert check["tables"][0]["rows"][0] == ["0 blue", 3, 3, 3]
    assert [line.split() for line in done.stdout.splitlines()[:4]] == [
        ["class", "train", "valid", "test"],
        ["0", "blue", "3", "3", "3"],
        ["1", "green", "2", "2", "2"],
        ["2", "red", "2", "2", "2"],
    ]
