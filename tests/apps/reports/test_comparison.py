"""Several runs on one page, and the command for both pages."""

import argparse

import pytest

from apps.reports.conftest import metrics_lines, write_metrics, write_test
from apps.reports.pages import Page
from paddlevideo.apps.reports import write_comparison
from paddlevideo.cli.report import add_arguments, run
from paddlevideo.utils.errors import DataError


@pytest.fixture
def runs(tmp_path):
    """Two runs of other numbers of classes, and one that was never tested."""
    folders = [tmp_path / name for name in ("one", "two <b>", "untested")]
    for folder in folders:
        folder.mkdir()
    write_metrics(folders[0], metrics_lines(2))
    write_metrics(folders[2], metrics_lines(4, tested=False))
    write_test(folders[0], [0, 0, 1, 1], [0, 0, 1, 0], ["a", "<b>"])
    write_test(folders[1], [0, 0, 1, 2], [0, 1, 1, -1], ["a", "<b>", "c"])
    return folders


def cells(page: Page, title: str) -> str:
    return page.text[page.text.index(f" {title} ") :].replace(" %", "%")[:70]


def test_numbers_side_by_side(runs, tmp_path):
    page = Page(write_comparison(runs, tmp_path / "page.html"))
    page.check_stays_inside()
    assert cells(page, "epochs").startswith(" epochs 2 – 4 ")
    assert cells(page, "test accuracy").startswith(" test accuracy 75% 50% – ")
    assert cells(page, "mean recall of the classes").startswith(
        " mean recall of the classes 75% 50% – "
    )
    assert cells(page, "unreadable").startswith(" unreadable 0 1 – ")
    recalls = page.text[page.text.index("Recall of each class") :].replace(" %", "%")
    # Where they differ most comes first; a class that one run lacks has no number there.
    assert "a 100% 50% – <b> 50% 100% – c – 0% –" in recalls
    best = [attrs for tag, attrs in page.tags if tag == "td" and "best" in attrs.get("class", "")]
    assert len(best) == 3 + 2  # validation, accuracy, mean recall; two classes
    charts = [a["aria-label"] for tag, a in page.tags if a.get("class") == "chart"]
    assert charts == ["Validation accuracy", "Validation loss", "Training loss"]


def test_different_sets_are_told(runs, tmp_path):
    for folder, name in zip(runs, ("x.list", "y.list"), strict=False):
        config = f"DATASET: {{test: {{format: VideoDataset, file_path: {name}}}}}\n"
        (folder / "test_config.yaml").write_text(config)
    page = Page(write_comparison(runs, tmp_path / "page.html"))
    assert "tested on different sets" in page.text


def test_errors(runs, tmp_path):
    with pytest.raises(DataError, match="two runs or more"):
        write_comparison(runs[:1], tmp_path / "page.html")
    with pytest.raises(DataError, match="named twice"):
        write_comparison([runs[0], runs[0] / ".." / "one"], tmp_path / "page.html")


def test_the_command(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    run(parser.parse_args(["one"]))
    run(parser.parse_args(["one", "untested"]))
    run(parser.parse_args(["one", "untested", "--output", "pages/x.html"]))
    for name in ("one/report.html", "comparison.html", "pages/x.html"):
        Page(tmp_path / name).check_stays_inside()
