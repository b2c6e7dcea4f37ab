"""The page of a run: what is in it, what is left out, and that names stay names."""

import json

import pytest

from apps.reports.conftest import HOSTILE, metrics_lines, write_metrics, write_test
from apps.reports.pages import Page
from paddlevideo.apps.reports import write_report
from paddlevideo.apps.reports.page import worst_mistakes
from paddlevideo.apps.reports.parts import Answer, Guess
from paddlevideo.apps.reports.run_reader import read_run
from paddlevideo.utils.errors import DataError

PARTS = {"data_check.json": "data", "timelines.json": "timelines", "next_commands.json": "next"}


def test_everything_is_in_it(run_folder):
    path = write_report(run_folder)
    assert path == run_folder / "report.html"
    page = Page(path)
    assert page.sections() == [
        "curves", "confusion", "classes", "mistakes", "files", "data", "timelines", "next"
    ]  # fmt: skip
    charts = [a for tag, a in page.tags if tag == "svg" and a.get("class") == "chart"]
    labels = [chart["aria-label"] for chart in charts]
    assert labels == ["Loss", "Accuracy (top1)", "Learning rate", HOSTILE[2]]
    assert ("meta", "width=device-width, initial-scale=1") in [
        (tag, attrs.get("content")) for tag, attrs in page.tags
    ]
    assert "Tiny <i>" in page.text and "1 video of the test cannot be read" in page.text
    assert not [name.name for name in run_folder.iterdir() if name.name.endswith(".tmp")]


def test_names_stay_names(run_folder):
    """Whoever names a class or a file writes text, and never a part of the page."""
    page = Page(write_report(run_folder))
    page.check_stays_inside()
    for name in HOSTILE:
        assert name in page.text
        assert name not in page.source.replace("javascript:alert(3)", "") or "<" not in name
    assert "&lt;script&gt;alert(1)" in page.source
    assert str(98765 * 4321) not in page.source  # a template's expression is text too
    assert "paddlevideo stream 0 --model 'a b' && echo </pre>" in page.text


def test_mistakes_have_frames_where_the_video_is_there(run_folder):
    page = Page(write_report(run_folder))
    frames = [image for image in page.images() if image.startswith("data:image/jpeg;base64,")]
    assert len(frames) == 2 * 4  # two of the three wrong videos are there, four frames of each
    assert page.text.count("no such file") == 1
    assert len(page.source) < 200_000


@pytest.mark.parametrize("missing", [*PARTS, "all"])
def test_a_part_that_is_not_there_is_left_out(run_folder, missing):
    gone = list(PARTS) if missing == "all" else [missing]
    for name in gone:
        (run_folder / name).unlink()
    page = Page(write_report(run_folder))
    present = set(PARTS) - set(gone)
    assert set(page.sections()) & set(PARTS.values()) == {PARTS[name] for name in present}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data_check.json", '{"summary": "no list"}'),
        ("data_check.json", '{"tables": [{"title": "t", "columns": ["a"], "rows": [[1, 2]]}]}'),
        ("timelines.json", "[1, 2"),
        ("timelines.json", json.dumps([{"path": "x", "label": None, "times_seconds": [0, 1],
                                        "labels": ["a"], "scores": [[0.5]]}])),
        ("next_commands.json", '{"title": "a"}'),
        ("next_commands.json", "[" * 100_000),
        ("config.yaml", "a: [1"),
        ("test_config.yaml", "DATASET: 3"),
    ],
)  # fmt: skip
def test_a_damaged_part_costs_only_itself(run_folder, name, content):
    (run_folder / name).write_text(content)
    page = Page(write_report(run_folder))
    if name in PARTS:
        assert PARTS[name] not in page.sections() and "A part is left out" in page.text
        assert name in page.text
    assert {"curves", "classes", "mistakes"} <= set(page.sections())


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        '{"path": 3}',
        '{"path": "a", "label": -1, "label_name": "x", "readable": false, "frames_read": 0, '
        '"frames_lost": 0, "top": []}',
        '{"path": "a", "label": 1e12, "label_name": "x", "readable": false, "frames_read": 0, '
        '"frames_lost": 0, "top": []}',
        '{"path": "a", "label": 0, "label_name": "x", "readable": true, "frames_read": 0, '
        '"frames_lost": 0, "top": []}',
    ],
)
def test_damaged_answers_cost_only_the_test(run_folder, line):
    (run_folder / "predictions.jsonl").write_text(line + "\n")
    page = Page(write_report(run_folder))
    assert "The test is left out" in page.text and "predictions.jsonl:1" in page.text
    assert "curves" in page.sections() and "classes" not in page.sections()


def test_training_alone_and_a_test_alone(tmp_path):
    write_metrics(tmp_path, metrics_lines(tested=False))
    page = Page(write_report(tmp_path, tmp_path / "pages" / "a.html"))
    assert page.sections() == ["curves"]
    assert "A test shows which classes are confused" in page.text
    (tmp_path / "metrics.jsonl").unlink()
    write_test(tmp_path, [0, 1], [0, 1], ["a", "b"])
    page = Page(write_report(tmp_path))
    assert page.sections() == ["confusion", "classes"]
    assert "No video is wrong" in page.text and "no record of its training" in page.text


def test_a_test_of_an_earlier_training_is_not_shown(run_folder):
    write_metrics(run_folder, [*metrics_lines(), {"kind": "start", "steps_per_epoch": 4}])
    page = Page(write_report(run_folder))
    assert "classes" not in page.sections() and "of an earlier training" in page.text


def test_an_epoch_that_was_resumed_counts_once(tmp_path):
    lines = metrics_lines(tested=False)
    write_metrics(tmp_path, [*lines, {"kind": "resume"}, *lines[-2:]])
    run = read_run(tmp_path)
    assert [line["epoch"] for line in run.epochs] == [1, 2, 3]
    assert (run.best_validation()["epoch"], run.headline) == (3, "top1")


@pytest.mark.parametrize("num_classes", [24, 25, 600])
def test_many_classes(tmp_path, num_classes):
    labels = list(range(num_classes))
    wrong = [*labels[1:], 0]
    titles = [f"class number {label}" for label in labels]
    write_test(tmp_path, labels * 2, labels + wrong, titles)
    page = Page(write_report(tmp_path))
    pictures = [image for image in page.images() if image.startswith("data:image/png")]
    assert len(pictures) == (num_classes > 24)
    assert ("other 570 classes" in page.text) == (num_classes == 600)
    assert len(page.source) < 2_000_000


def test_worst_mistakes_are_the_most_certain_ones_and_not_all_alike():
    def answer(path, label, predicted, score, own):
        top = [Guess(predicted, "x", score)]
        return Answer(path, label, "y", True, 1, 0, top, own)

    answers = [answer(f"same {n}", 0, 1, 0.9, 0.01 * n) for n in range(20)]
    answers += [answer("other", 2, 1, 0.5, 0.1), answer("right", 1, 1, 0.99, 0.99)]
    answers += [Answer("unreadable", 1, "y", False, 0, 0, [])]
    worst = [each.path for each in worst_mistakes(answers)]
    assert worst[:4] == ["same 0", "same 1", "same 2", "other"]
    assert worst[4:] == [f"same {n}" for n in range(3, 11)]


def test_errors_say_what_to_do(tmp_path, run_folder):
    with pytest.raises(DataError, match="no such folder; name a run's folder"):
        write_report(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"is no run's folder: .* train or test first"):
        write_report(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written: .*--output"):
        write_report(run_folder, tmp_path / "file" / "page.html")
