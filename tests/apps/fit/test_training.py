"""Processes of a training: followed by what they write, ended with all that they started."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from paddlevideo.apps.fit.training import SCRIPT, train
from paddlevideo.utils.errors import DeviceError

WRITER = """
import json, sys, time
with open(sys.argv[1] + "/metrics.jsonl", "a") as file:
    for line in (
        {"kind": "start", "epoch": 0, "epochs": 2, "steps_per_epoch": 4},
        {"kind": "train", "epoch": 1, "step": 1, "loss": 2.0},
        {"kind": "train_epoch", "epoch": 1, "loss": 1.5},
        {"kind": "valid", "epoch": 1, "headline": "top1", "top1": 0.5, "loss": 1.0},
        {"kind": "train", "epoch": 2, "step": 3, "loss": 1.0},
    ):
        print(json.dumps(line), file=file, flush=True)
    file.write('{"kind": "tra')
"""


def test_progress(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"kind": "valid", "epoch": 9}) + "\n")
    seen = []
    train([sys.executable, "-c", WRITER, str(tmp_path)], tmp_path, seen.append)
    assert [progress.share for progress in seen] == [0.25, 0.5, 0.5, 1.0]
    assert seen[-1].headline == ("top1", 0.5) and seen[-1].epoch == 2


def test_an_error_is_told_with_its_message(tmp_path):
    code = "import sys; print('noise'); sys.exit('error: no disk is left')"
    with pytest.raises(DeviceError, match=r"exit code 1.*train\.log") as caught:
        train([sys.executable, "-c", code], tmp_path, lambda progress: None)
    assert str(caught.value).endswith("error: no disk is left")


def test_an_interrupt_ends_all_processes(tmp_path):
    """Also one that the training has started, and that takes no notice of SIGTERM."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "time.sleep(0.5)\n"
        "open(sys.argv[1] + '/pid', 'w').write(str(child.pid))\n"
        'open(sys.argv[1] + "/metrics.jsonl", "a").write(\'{"kind": "train_epoch", "epoch": 1, '
        '"loss": 1.0}\\n\')\n'
        "time.sleep(60)\n"
    )

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([sys.executable, "-c", code, str(tmp_path)], tmp_path, interrupt)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(50):
        if not is_running(pid):
            return
        time.sleep(0.1)
    pytest.fail("the child still runs")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_its_process_finds_the_package_of_a_checkout(tmp_path):
    """Started by its path from anywhere, without PYTHONPATH and without an installation."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SCRIPT), "--help"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0 and "usage: launched.py" in done.stdout, done.stderr
