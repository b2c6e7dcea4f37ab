"""Two processes of which one is slow, ends, or gets a signal; and a launcher that is killed.

pytest -m slow tests/end_to_end/test_processes.py
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from end_to_end.conftest import NAME, ROOT, launch, metrics, write_config
from end_to_end.test_resume import check_identical

FAULTY = Path(__file__).with_name("main_with_faults.py")
LOGS = ("workerlog.0", "workerlog.1")


@pytest.fixture(scope="module")
def config(tiny, tmp_path_factory):
    content = tiny.config(epochs=4)
    content["DATASET"]["batch_size"] = 1  # three steps an epoch and process
    content["OPTIMIZER"]["learning_rate"]["max_epoch"] = 4
    return write_config(tmp_path_factory.mktemp("two") / "tiny.yaml", content)


@pytest.fixture(scope="module")
def in_one_go(config, tmp_path_factory):
    cwd = tmp_path_factory.mktemp("whole")
    done = launch("main.py", "-c", config, "--validate", cwd=cwd, log_dir=cwd / "log")
    assert done.code == 0, done.stderr
    return cwd / "output" / NAME


class Launched:
    """Two processes under a launcher."""

    def __init__(self, config, cwd, *options):
        self.cwd, self.run = cwd, cwd / "output" / NAME
        command = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2",
                   "--log_dir", str(cwd / "log"), str(ROOT / "main.py"), "-c", str(config),
                   "--validate", *options]  # fmt: skip
        self.launcher = subprocess.Popen(
            command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def wait_for_epoch(self, number):
        log, ends = self.run / "run.log", time.monotonic() + 120
        while not (log.is_file() and f"epoch:[  {number}/" in log.read_text()):
            assert time.monotonic() < ends and self.launcher.poll() is None
            time.sleep(0.01)

    def ranks(self):
        listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True)
        found = [line.split() for line in listed.stdout.splitlines() if "main.py" in line]
        return [
            int(pid)
            for pid, *args in found
            if "paddle.distributed.launch" not in args and self._is_ours(int(pid))
        ]

    def _is_ours(self, pid):
        try:
            return Path(f"/proc/{pid}/cwd").resolve() == self.cwd.resolve()
        except OSError:
            return False

    def wait_for_the_end_of_ranks(self, seconds=40):
        ends = time.monotonic() + seconds
        while self.ranks():
            assert time.monotonic() < ends, self.said()
            time.sleep(0.2)

    def said(self):
        return "".join((self.cwd / "log" / name).read_text() for name in LOGS)


def goes_on(config, cwd, in_one_go):
    options = ("-c", config, "--validate", "-o", "resume_epoch=latest")
    done = launch("main.py", *options, cwd=cwd, log_dir=cwd / "log2")
    assert done.code == 0 and "resumed" in done.stderr, done.stderr
    ours = cwd / "output" / NAME
    check_identical(ours, in_one_go, f"{NAME}_epoch_00004.pdparams")
    check_identical(ours, in_one_go, f"{NAME}_best.pdparams")
    assert [line["top1"] for line in metrics(ours, "valid")] == [
        line["top1"] for line in metrics(in_one_go, "valid")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("to", ["launcher", "one process"])
def test_sigterm_in_an_epoch(to, config, in_one_go, tmp_path):
    """All end at the same step, and go on to the same bits."""
    launched = Launched(config, tmp_path)
    launched.wait_for_epoch(2)
    os.kill(launched.launcher.pid if to == "launcher" else launched.ranks()[1], signal.SIGTERM)
    code = launched.launcher.wait(60)
    assert code == (signal.SIGTERM if to == "launcher" else 143)
    said = launched.said()
    assert said.count("stopped by SIGTERM") == 1 and "Traceback" not in said, said
    assert not launched.ranks()
    goes_on(config, tmp_path, in_one_go)


@pytest.mark.slow
def test_sigusr1_to_one_process(config, in_one_go, tmp_path):
    launched = Launched(config, tmp_path)
    launched.wait_for_epoch(2)
    os.kill(launched.ranks()[1], signal.SIGUSR1)
    assert launched.launcher.wait(120) == 0, launched.said()
    check_identical(launched.run, in_one_go, f"{NAME}_epoch_00004.pdparams")


@pytest.mark.slow
def test_a_launcher_that_is_killed(config, in_one_go, tmp_path):
    """Its processes end as after SIGTERM, within seconds."""
    launched = Launched(config, tmp_path, "-o", "epochs=400", "-o", "resume_anyway=true")
    launched.wait_for_epoch(1)
    launched.launcher.kill()
    launched.launcher.wait()
    launched.wait_for_the_end_of_ranks()
    said = launched.said()
    assert said.count("the launcher of this process is gone") in (1, 2)
    assert "stopped by SIGTERM" in said and "Traceback" not in said
    assert list(launched.run.glob("*.state"))


def faulty(fault, config, tmp_path, monkeypatch, timeout=300):
    monkeypatch.setenv("FAULT", fault)
    begun = time.monotonic()
    done = launch(FAULTY, "-c", config, "--validate", cwd=tmp_path, log_dir=tmp_path / "log",
                  timeout=timeout)  # fmt: skip
    return done, time.monotonic() - begun


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["data:1:2:62", "data:0:4:40", "save:0:4:40"])
def test_a_process_that_is_slow_is_waited_for(fault, config, in_one_go, tmp_path, monkeypatch):
    """Longer than the 30 s of Gloo; the same bits come out."""
    done, seconds = faulty(fault, config, tmp_path, monkeypatch)
    assert done.code == 0 and seconds > 40, done.stderr
    if fault.startswith("data:1"):
        assert "process 0 has waited 60 s for process 1" in done.stderr
    check_identical(tmp_path / "output" / NAME, in_one_go, f"{NAME}_epoch_00004.pdparams")


@pytest.mark.slow
@pytest.mark.parametrize("dead", [0, 1])
def test_a_process_that_ends_is_missed(dead, config, tmp_path, monkeypatch):
    """The other ends with a message, at once."""
    done, seconds = faulty(f"die:{dead}:2:0", config, tmp_path, monkeypatch)
    other = (tmp_path / "log" / LOGS[1 - dead]).read_text()
    assert done.code != 0 and seconds < 60
    assert f"error: process {dead} of 2 has ended" in other and "Traceback" not in other, other
