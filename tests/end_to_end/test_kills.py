"""Trainings that are killed again and again end with the bits of one that was left alone.

The whole process group is killed, the launcher of two processes included, at random moments: while
steps are taken, while a state, the best weights or metrics are written, while validating, while
starting. The long form: ``pytest -m slow tests/end_to_end/test_kills.py``, eight chains of five
kills; ``KILL_SEED`` chooses other moments.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from end_to_end.conftest import NAME, ROOT, write_config
from end_to_end.test_resume import check_identical
from end_to_end.test_run_folder import TIMES, check_same_run, lines_of
from paddlevideo.tasks.checkpoint import Checkpoints

EPOCHS, SECONDS = 6, 240
SEED = int(os.environ.get("KILL_SEED", "0"))


@dataclass
class Chain:
    """A training in a process group of its own, and its end, some times over.

    Attributes:
        folder: where it is started.
        options: of ``main.py``.
        ranks: processes.
        seconds: how long each start has lived.
    """

    folder: Path
    options: list[str]
    ranks: int
    seconds: list[float] = field(default_factory=list)

    def start(self, output: str) -> "subprocess.Popen[bytes]":
        launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", str(self.ranks),
                  "--log_dir", str(self.folder / "log")]  # fmt: skip
        command = [sys.executable, *(launch if self.ranks > 1 else []), str(ROOT / "main.py"),
                   *self.options, "--resume", "auto", "-o", f"output_dir={output}"]  # fmt: skip
        with (self.folder / f"{output}.log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def run_to_end(self, output: str) -> None:
        process = self.start(output)
        code = process.wait(SECONDS)
        kill_group(process.pid)
        logs = [self.folder / f"{output}.log", *(self.folder / "log").glob("workerlog.*")]
        assert code == 0, "".join(path.read_text()[-3000:] for path in logs if path.exists())

    def kill_after(self, output: str, seconds: float, begun: int) -> None:
        """Kill it so many seconds after its first line of this start, ``begun`` lines in."""
        process = self.start(output)
        ends = time.monotonic() + SECONDS
        while starts_in(self.folder / output) <= begun and process.poll() is None:
            assert time.monotonic() < ends
            time.sleep(0.01)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.seconds.append(seconds)
        kill_group(process.pid)
        process.wait()
        check_readable(self.folder / output)


def starts_in(folder: Path) -> int:
    """How often a process has begun, by the log, which a resume does not cut."""
    log = folder / "run.log"
    return log.read_text(errors="replace").count("trainable parameters on ") if log.exists() else 0


def kill_group(group: int) -> None:
    """SIGKILL to all of a session, those that the launcher has put into groups of their own too."""
    listed = subprocess.run(["ps", "-eo", "pid,sess"], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines()[1:]:
        pid, session = map(int, line.split())
        if session == group:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def check_readable(folder: Path) -> None:
    """Whatever has a final name is whole: states, best weights with their score, all lines."""
    checkpoints = Checkpoints(folder, NAME)
    for state in checkpoints.states():
        assert not state.problem(), state.problem()
    if checkpoints.best_weights.exists():
        assert checkpoints.best.read() is not None
    if (folder / "metrics.jsonl").exists():
        *lines, _rest = (folder / "metrics.jsonl").read_text().split("\n")
        assert all(json.loads(line) for line in lines)


def chain_of(tiny, folder: Path, workers: int, ranks: int) -> Chain:
    content = tiny.config(epochs=EPOCHS, save_every={"steps": 2}, seed=3)
    content["DATASET"] |= {"batch_size": 1 if ranks > 1 else 2, "num_workers": workers}
    content["MODEL"]["backbone"]["stochastic_depth"] = 0.2
    content["OPTIMIZER"]["learning_rate"]["max_epoch"] = EPOCHS
    config = write_config(folder / "tiny.yaml", content)
    return Chain(folder, ["--validate", "-c", str(config)], ranks)


def kill_again_and_again(chain: Chain, kills: int, seed: int) -> None:
    started = time.monotonic()
    chain.run_to_end("whole")
    longest = time.monotonic() - started
    whole = chain.folder / "whole"
    rng = np.random.default_rng((SEED, seed))
    # After the start-up, in which nothing happens; longer than a share of the run each.
    first = json.loads((whole / "metrics.jsonl").read_text().splitlines()[0])["time"]
    last = json.loads((whole / "metrics.jsonl").read_text().splitlines()[-1])["time"]
    training = min(longest, last - first)
    for _ in range(kills):
        seconds = float(rng.uniform(0, 1.6 * training / kills))
        chain.kill_after("killed", seconds, starts_in(chain.folder / "killed"))
    chain.run_to_end("killed")
    killed = chain.folder / "killed"
    check_readable(killed)
    for epoch in range(1, EPOCHS + 1):
        check_identical(killed, whole, f"{NAME}_epoch_{epoch:05d}.pdparams")
    check_same_run(killed, whole)
    assert not list(killed.glob("*.tmp"))
    assert TIMES and lines_of(killed)[-1]["kind"] == "valid"


def test_a_short_chain(tiny, tmp_path):
    chain = chain_of(tiny, tmp_path, workers=2, ranks=1)
    kill_again_and_again(chain, 2, seed=99)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("workers", [0, 2])
def test_chains(tiny, tmp_path, workers, ranks, seed):
    chain = chain_of(tiny, tmp_path, workers, ranks)
    kill_again_and_again(chain, 5, seed=100 * workers + 10 * ranks + seed)
    print(f"workers {workers}, processes {ranks}, seed {seed}: lived {chain.seconds} s")
