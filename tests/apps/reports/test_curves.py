"""The curves of runs in one picture."""

import json
import math

import cv2
import pytest

from apps.reports.conftest import HOSTILE, metrics_lines, write_metrics
from paddlevideo.apps.reports import write_curves
from paddlevideo.apps.reports.curves import panels_of
from paddlevideo.apps.reports.run_reader import read_run
from paddlevideo.cli.main import main
from paddlevideo.utils.errors import DataError


def lines_with_everything(scale=1.0):
    lines = metrics_lines()
    for line in lines:
        if line["kind"] == "train":
            line |= {"loss": scale / (line["epoch"] + line["step"]), "top1": 0.25,
                     "samples_per_second": 30.0, "grad_norm": 2.5, "data_share": 0.125}  # fmt: skip
    return lines


@pytest.fixture
def runs(tmp_path):
    folders = []
    for name, scale in (("one", 1.0), ("two", 2.0)):
        folder = tmp_path / name
        folder.mkdir()
        write_metrics(folder, lines_with_everything(scale), '{"kind": "tra')  # killed
        folders.append(folder)
    return folders


def test_what_is_drawn(runs):
    panels = {panel.title: panel.series for panel in panels_of(["one"], [read_run(runs[0])])}
    assert list(panels) == [
        *("loss", "accuracy (top1)", "learning rate", "samples per second"),
        *("norm of the gradient", "share of the time that waits for data"),
    ]
    training, validation = panels["loss"]
    assert [training.name, validation.name] == ["training", "validation"]
    assert training.x == [n / 4 for n in range(1, 13)]  # four steps an epoch
    assert training.points()[0] == (0.25, 1.0) and training.points()[5] == (1.5, 1 / 3)
    assert validation.points() == [(e, 2.5 / e) for e in (1.0, 2.0, 3.0)]


def test_repeated_steps_and_numbers_that_are_none(tmp_path):
    lines = lines_with_everything()
    again = {**next(line for line in lines if line["kind"] == "train"), "loss": 9.0, "lr": None}
    resume = {"kind": "resume", "epochs": 3, "steps_per_epoch": 4}
    write_metrics(tmp_path, [*lines, resume, {**again, "grad_norm": math.nan}])
    panels = {p.title: p.series for p in panels_of(["x"], [read_run(tmp_path)])}
    assert panels["loss"][0].points()[0] == (0.25, 9.0) and len(panels["loss"][0].points()) == 12
    assert len(panels["learning rate"][0].points()) == 11
    assert len(panels["norm of the gradient"][0].points()) == 11


def test_runs_without_lines_of_steps_have_those_of_epochs(tmp_path):
    write_metrics(tmp_path, [line for line in metrics_lines() if line["kind"] != "train"])
    panels = {p.title: p.series for p in panels_of(["x"], [read_run(tmp_path)])}
    assert panels["loss"][0].points() == [(1.0, 2.0), (2.0, 1.0), (3.0, 2 / 3)]


def test_pictures(runs, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    assert write_curves(runs[:1]) == runs[0] / "curves.png"
    image = cv2.imread(str(runs[0] / "curves.png"))
    assert image.shape[1] == 1300 and image.shape[0] > 900
    assert all((image == colour).all(axis=2).any() for colour in ([178, 114, 0], [0, 94, 213]))
    assert "<svg" in write_curves(runs, tmp_path / "a.svg").read_text()
    monkeypatch.chdir(tmp_path)
    main(["plot", str(runs[0]), str(runs[1])])
    assert (tmp_path / "curves.png").is_file()


def test_a_page(runs, tmp_path):
    folder = tmp_path / HOSTILE[0].replace("/", "")
    runs[1].rename(folder)
    page = write_curves([runs[0], folder], tmp_path / "curves.html").read_text()
    assert page.count("<svg viewBox") >= 6 and "one, validation" in page
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "http:" not in page and "https:" not in page


def test_refusals(runs, tmp_path):
    with pytest.raises(DataError, match=r"curves are written as .png, .svg or .html"):
        write_curves(runs, tmp_path / "a.pdf")
    with pytest.raises(DataError, match="7 runs: 6 can be told apart"):
        write_curves([runs[0]] * 7, tmp_path / "a.png")
    with pytest.raises(DataError, match="cannot be written"):
        write_curves(runs, runs[0] / "metrics.jsonl" / "a.png")
    (tmp_path / "empty").mkdir()
    start = json.dumps({"kind": "start", "epochs": 1, "steps_per_epoch": 2})
    (tmp_path / "empty" / "metrics.jsonl").write_text(start + "\n")
    with pytest.raises(DataError, match="empty: there is nothing to draw: no step was logged yet"):
        write_curves([tmp_path / "empty"], tmp_path / "a.png")
