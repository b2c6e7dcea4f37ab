"""`paddlevideo fit` as a newcomer runs it, on a few small videos."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml
from end_to_end.conftest import CLASSES, ROOT, tiny  # noqa: F401 - a fixture

from paddlevideo.apps.fit.options import FitOptions
from paddlevideo.runtime import load_predictor
from paddlevideo.utils.errors import ConfigError


def run(*arguments, cwd):
    command = [sys.executable, "-m", "paddlevideo", "fit", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, env=environment
    )


@pytest.fixture(scope="module")
def fitted(tiny, tmp_path_factory):  # noqa: F811
    """A run of one epoch from random numbers."""
    folder = tmp_path_factory.mktemp("fit")
    for split in ("train", "val"):
        shutil.copytree(tiny.root / split, folder / "videos" / split)
    options = ("videos", "--weights", "none", "--epochs", 1, "--output", "run")
    return folder, options, run(*options, cwd=folder)


def test_what_it_leaves(fitted):
    folder, _, done = fitted
    assert done.returncode == 0, done.stderr
    run_folder = folder / "run"
    for name in (
        *("report.html", "predictions.jsonl", "config.yaml", "data_check.json", "timelines.json"),
        *("confusion_matrix.png", "classes.csv", "videos_best.pdparams", "metrics.jsonl"),
    ):
        assert (run_folder / name).stat().st_size > 0, name
    page = (run_folder / "report.html").read_text(encoding="utf-8")
    assert "paddlevideo stream 0 --bundle" in page and all(name in page for name in CLASSES)
    answers = (run_folder / "predictions.jsonl").read_text().splitlines()
    assert (
        len(answers) == json.loads((run_folder / "fit.json").read_text())["facts"]["counts"]["val"]
    )
    assert "videos right" in done.stdout and "No footage was found" in done.stdout


def test_the_bundle_predicts_and_streams(fitted):
    folder, _, _ = fitted
    predictor = load_predictor(folder / "run" / "bundle", device="cpu")
    video = next((folder / "videos" / "val").rglob("*.mp4"))
    assert predictor(video).label in CLASSES
    config = yaml.safe_load((folder / "run" / "config.yaml").read_text())
    sampler = config["PIPELINE"]["train"]["sample"]
    assert predictor.open_stream().frame_rate == sampler["stride_fps"] / sampler["stride"]


def test_a_second_call_says_that_it_is_done(fitted):
    folder, options, first = fitted
    before = (folder / "run" / "report.html").stat().st_mtime_ns
    done = run(*options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (
        "is done" in done.stdout and done.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]
    )
    assert (folder / "run" / "report.html").stat().st_mtime_ns == before
    done = run(*options, "--seed", 3, cwd=folder)
    assert done.returncode == 1 and "holds a fit with another seed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "no such folder or file"),
        (("videos", "--weights", "nothing"), "no such file, and no released weights"),
        (("videos", "--minutes", "0"), "--minutes 0.0: expected"),
        (("videos", "--processes", "many"), "--processes many: expected auto or a number"),
        (("videos", "--model", "movinet_a9"), "movinet_a9"),
    ],
)
def test_one_message(fitted, arguments, message, tmp_path):
    folder, _, _ = fitted
    done = run(*arguments, "--output", tmp_path / "run", cwd=folder)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1 and len(errors) == 1 and message in errors[0], done.stderr
    assert "Traceback" not in done.stderr


def test_ranges(tmp_path):
    with pytest.raises(ConfigError, match=r"--val 1\.5: expected"):
        FitOptions(tmp_path, tmp_path, val_share=1.5)
