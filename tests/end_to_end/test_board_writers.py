"""What the writers of HOOKS leave for TensorBoard and VisualDL, read back."""

import importlib.util
import json
import struct

import pytest

from end_to_end.test_parts_and_hooks import Writer, config, train  # noqa: F401
from paddlevideo.tasks.board_writers import iteration_of
from paddlevideo.utils.errors import ConfigError, DeviceError

LISTED = "[{name: TensorBoardWriter}, {name: VisualDLWriter, folder: boards/vdl}]"


def tensorboard_scalars(folder) -> dict[str, list[tuple[int, float]]]:
    from tensorboardX.proto.event_pb2 import Event

    found: dict = {}
    (path,) = folder.glob("events.out.tfevents.*")
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def visualdl_scalars(folder) -> dict[str, list[tuple[int, float]]]:
    from visualdl import LogReader

    (path,) = folder.glob("vdlrecords.*")
    reader = LogReader(file_path=str(path))
    return {
        tag: [(record.id, record.value) for record in reader.get_data("scalar", tag)]
        for tag in reader.get_tags()["scalar"]
    }


def of_the_metrics(folder) -> dict[str, list[tuple[int, float]]]:
    """What must be in the files: the newest line of each place."""
    found: dict = {}
    for line in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()):
        iteration = iteration_of(line, 3)
        if iteration is not None:
            for name in set(line) - {
                "kind",
                "epoch",
                "step",
                "time",
                "headline",
                "run",
                "iterations",
            }:
                found.setdefault(f"{line['kind']}/{name}", {})[iteration] = line[name]
    return {tag: sorted(values.items()) for tag, values in found.items()}


def check_equal(ours, expected):
    assert set(ours) >= {"train/loss", "train/lr", "train/seconds_left", "valid/top1",
                         "train_epoch/samples_per_second"}  # fmt: skip
    assert set(ours) == set(expected)
    for tag, values in expected.items():
        assert [place for place, _ in ours[tag]] == [place for place, _ in values], tag
        assert [v for _, v in ours[tag]] == pytest.approx([v for _, v in values], rel=1e-6), tag


def test_a_resumed_run_has_every_step_once(config, tmp_path):  # noqa: F811
    pytest.importorskip("tensorboardX")
    pytest.importorskip("visualdl")
    folder = tmp_path / "run"
    hook = Writer(save_at=2)  # and then it dies, two steps later
    hook.on_epoch_start = lambda training: 1 / (training.position.epoch < 1)
    with pytest.raises(ZeroDivisionError):
        train(config, folder, hook, HOOKS=LISTED)
    assert [p for p, _ in tensorboard_scalars(folder / "tensorboard")["train/loss"]] == [1, 2]
    trainer = train(config, folder, HOOKS=LISTED, resume_epoch="latest")
    assert trainer.resumed and trainer.position.iterations == 6
    expected = of_the_metrics(folder)
    assert [place for place, _ in expected["train/loss"]] == [1, 2, 4, 5]
    check_equal(tensorboard_scalars(folder / "tensorboard"), expected)
    check_equal(visualdl_scalars(folder / "boards" / "vdl"), expected)
    train(config, folder, HOOKS="[{name: TensorBoardWriter}]", epochs=1, overwrite="true")  # anew
    again = tensorboard_scalars(folder / "tensorboard")
    assert [place for place, _ in again["train/loss"]] == [1, 2]


def test_refusals(config, tmp_path, monkeypatch):  # noqa: F811
    for folder in ("../x", "/tmp/x", "''"):
        with pytest.raises(ConfigError, match=r"HOOKS\[0\].*folder is .*within the run's folder"):
            train(
                config, tmp_path / "run", HOOKS=f"[{{name: TensorBoardWriter, folder: {folder}}}]"
            )
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(DeviceError, match=r"VisualDLWriter needs visualdl: pip .*movinet\[writers"):
        train(config, tmp_path / "run", HOOKS="[{name: VisualDLWriter}]")
