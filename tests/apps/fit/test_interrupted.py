"""A fit that is interrupted or killed: what is kept, and that the same command goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from end_to_end.conftest import ROOT, tiny  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

PATIENCE = 280  # seconds


class Running:
    """A fit in a process group of its own, as a terminal starts it."""

    def __init__(self, folder, epochs):
        self.run_folder = folder / "run"
        command = [sys.executable, "-m", "paddlevideo", "fit", "videos", "--weights", "none",
                   "--epochs", str(epochs), "--output", "run", "--processes", "1"]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip

    def kinds(self):
        """The kinds of lines in the log of the training."""
        path = self.run_folder / "metrics.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line)["kind"] for line in text.splitlines() if line.endswith("}")]

    def wait_for(self, condition):
        """Wait until something is so, while the process lives."""
        ends = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < ends
            time.sleep(0.02)

    def end(self, kind=None):
        """Send a signal to the group, and wait; returns (exit code, stdout, stderr)."""
        if kind is not None:
            os.killpg(self.process.pid, kind)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@pytest.fixture
def folder(tiny, tmp_path):  # noqa: F811
    for split in ("train", "val"):
        shutil.copytree(tiny.root / split, tmp_path / "videos" / split)
    return tmp_path


def trainings_of(folder):
    """The processes that train for this folder."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(folder / "run" / "fit.yaml") in line]


def test_interrupted_after_a_validation(folder):
    fit = Running(folder, 400)
    fit.wait_for((fit.run_folder / "videos_best.pdparams").exists)
    code, out, err = fit.end(signal.SIGINT)
    assert code == 0, err
    assert "Interrupted: this is the best so far" in out and "videos right" in out
    assert (fit.run_folder / "report.html").stat().st_size > 0
    assert (fit.run_folder / "bundle" / "inference.yml").exists()
    assert not trainings_of(folder)
    record = json.loads((fit.run_folder / "fit.json").read_text())
    assert record["reached"] == "planned"
    before = fit.kinds().count("valid")
    again = Running(folder, 400)
    again.wait_for(lambda: again.kinds().count("valid") > before)
    code, out, err = again.end(signal.SIGINT)
    assert code == 0 and "Going on with run" in out and "best so far" in out, err


def test_interrupted_before_the_first_validation(folder):
    fit = Running(folder, 2)
    fit.wait_for(lambda: (fit.run_folder / "train.log").exists())
    code, out, err = fit.end(signal.SIGINT)
    assert code == 130 and err.rstrip().endswith("interrupted") and "Traceback" not in err
    assert "nothing of the training is kept. The same command goes on." in out
    assert not (fit.run_folder / "report.html").exists() and not trainings_of(folder)
    code, out, err = Running(folder, 2).end()
    assert code == 0 and "videos right" in out, err
    code, out, err = Running(folder, 2).end()
    assert code == 0 and "is done" in out, err


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_killed(folder, kind):
    fit = Running(folder, 12)
    fit.wait_for(lambda: fit.kinds().count("valid") >= 3)
    code, _, _ = fit.end(kind)
    assert code != 0
    ends = time.monotonic() + 10
    while trainings_of(folder):
        assert time.monotonic() < ends
        time.sleep(0.1)
    code, out, err = Running(folder, 12).end()
    assert code == 0 and "Going on with run" in out and "videos right" in out, err
    assert "resume" in fit.kinds()
