"""main.py as a user runs it: one message and exit code 1, no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "configs/recognition/movinet/movinet_k400_frame.yaml"


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-c", CONFIG, "--train_dali"],
            "error: --train_dali: the DALI loader is not available; DATASET.num_workers",
        ),
        (["-c", "none.yaml"], "error: config none.yaml cannot be read: No such file"),
        (["-c", CONFIG, "-o", "epoch=3"], 'error: epoch: unknown key "epoch"; did you mean "epo'),
        (["-c", CONFIG, "--test", "--validate"], "error: --validate has no effect here"),
        (["-c", CONFIG, "--amp_level", "O2"], "error: --amp_level has no effect here"),
        (["-c", CONFIG, "--test"], "error: --test needs weights: -w FILE, or the config's key wei"),
    ],
    ids=[
        *("train_dali", "missing config", "unknown key", "validate in a test", "level without amp"),
        "test without weights",
    ],
)
def test_one_message(arguments, message):
    done = run(*arguments)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.returncode, done.stdout, len(errors)) == (1, "", 1)
    assert errors[0].startswith(message) and "Traceback" not in done.stderr


def test_wrong_usage_is_argparses():
    done = run("--validate")
    assert done.returncode == 2 and "required: -c/--config" in done.stderr
