"""A run that goes on keeps the lines of what is done, and no step is recorded twice."""

import json

import pytest

from paddlevideo.tasks.metrics_history import holds_epochs, keep_until
from paddlevideo.tasks.position import Position
from paddlevideo.tasks.run_folder import MetricsLog

LINES = [
    ("start", 0), ("train", 1), ("train", 2), ("train", 3), ("train_epoch", 3), ("valid", 3),
    ("resume", 3), ("test", None), ("train", 4), ("train", 5), ("train_epoch", 5), ("valid", 5),
]  # fmt: skip


def at(iterations, pending=False):
    position = Position(3)
    for _ in range(iterations):
        position.advance()
    position.validation_pending = pending
    return position


@pytest.fixture
def folder(tmp_path):
    log = MetricsLog(tmp_path, "id")
    for kind, iterations in LINES:
        log.write(kind, **({} if iterations is None else {"iterations": iterations}))
    return tmp_path


def kept(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(line["kind"], line.get("iterations")) for line in lines]


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (at(2), [*LINES[:3], LINES[7]]),
        (at(3, pending=True), [*LINES[:5], LINES[7]]),
        (at(3), [*LINES[:6], LINES[7]]),
        (at(4), LINES[:9]),
        (at(5), LINES[:10]),  # the epoch was cut there: its line comes again, with all its steps
        (at(6), LINES),
        (None, [LINES[7]]),
    ],
)
def test_lines_until_a_position(folder, position, expected):
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "iter')
    keep_until(folder, position)
    assert kept(folder) == expected
    assert holds_epochs(folder) == any(kind in ("train_epoch", "valid") for kind, _ in expected)
    keep_until(folder / "none", position)


def test_lines_of_earlier_versions(tmp_path):
    """They have epoch and step."""
    lines = [
        {"kind": "start", "epoch": 0}, {"kind": "train", "epoch": 1, "step": 2},
        {"kind": "train_epoch", "epoch": 1}, {"kind": "valid", "epoch": 1},
        {"kind": "train", "epoch": 2, "step": 0}, {"kind": "train_epoch", "epoch": 2},
    ]  # fmt: skip
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    keep_until(tmp_path, at(3))
    assert [json.loads(line) for line in path.read_text().splitlines()] == lines[:4]


def test_half_a_line_is_cut_off(tmp_path):
    """As a killed process leaves it, be it the only one."""
    path = tmp_path / "metrics.jsonl"
    for before in ("", '{"kind": "valid"}\n', "{}\n" + "x" * 9000 + "\n"):
        path.write_text(before + '{"ki' + "y" * 5000)
        MetricsLog(tmp_path).write("test", loss=1.0)
        text = path.read_text()
        assert text.startswith(before) and json.loads(text[len(before) :])["loss"] == 1.0


def test_lines_wait_for_a_disk(tmp_path, monkeypatch, caplog):
    log = MetricsLog(tmp_path)
    log.write("train", step=0)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("paddlevideo.tasks.run_folder.append_lines", full)
        log.write("train", step=1)
        log.write("train", step=2)
    assert caplog.text.count("metrics.jsonl cannot be written: No space left on device") == 1
    log.write("train", step=3)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2, 3]
