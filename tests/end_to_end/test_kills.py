"""Trainings that are killed again and again end with the bits of one that was left alone.

All processes are killed, the launcher of two included, at random moments: while
steps are taken, while a state, the best weights or metrics are written, while validating, while
starting. The long form: ``pytest -m slow tests/end_to_end/test_kills.py``, eight chains of five
kills, and four on tar shards; ``KILL_SEED`` chooses other moments.
"""

import contextlib
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
from end_to_end.test_run_folder import check_same_run, lines_of
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
        kills: after how many recorded steps each start was killed.
    """

    folder: Path
    options: list[str]
    ranks: int
    kills: list[int] = field(default_factory=list)

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
        logs = [self.folder / f"{output}.log", *(self.folder / "log").glob("workerlog.*")]
        assert code == 0, "".join(path.read_text()[-3000:] for path in logs if path.exists())

    def kill_at(self, output: str, step: int, delay: float) -> None:
        """Kill a start so many seconds after its run has done ``step`` steps, if it has not yet."""
        folder = self.folder / output
        begun = starts_in(folder)
        process = self.start(output)
        ends = time.monotonic() + SECONDS
        while starts_in(folder) <= begun or steps_in(folder) < step:
            assert process.poll() is None and time.monotonic() < ends
            time.sleep(0.01)
        time.sleep(delay)
        assert process.poll() is None
        kill_group(process.pid)
        process.wait()
        self.kills.append(steps_in(folder))
        check_readable(folder)


def starts_in(folder: Path) -> int:
    """How often a process has begun, by the log, which a resume does not cut."""
    log = folder / "run.log"
    return log.read_text(errors="replace").count("trainable parameters on ") if log.exists() else 0


def steps_in(folder: Path) -> int:
    """Steps of the run that are recorded."""
    path = folder / "metrics.jsonl"
    *lines, _ = path.read_text().split("\n") if path.exists() else [""]
    return max((json.loads(line).get("iterations", 0) for line in lines), default=0)


def kill_group(first: int) -> None:
    """SIGKILL to a process and all below it: a launcher puts each into a session of its own."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    rows = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()[1:]]
    group, size = {first}, 0
    while len(group) > size:
        size = len(group)
        group |= {pid for pid, parent in rows if parent in group}
    for pid in sorted(group):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


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


def chain_of(tiny, folder: Path, workers: int, ranks: int, epochs: int = EPOCHS) -> Chain:
    content = tiny.config(epochs=epochs, save_every={"steps": 2}, seed=3)
    content["DATASET"] |= {"batch_size": 1 if ranks > 1 else 2, "num_workers": workers}
    content["MODEL"]["backbone"]["stochastic_depth"] = 0.2
    content["OPTIMIZER"]["learning_rate"]["max_epoch"] = epochs
    config = write_config(folder / "tiny.yaml", content)
    return Chain(folder, ["--validate", "-c", str(config)], ranks)


def on_shards(chain: Chain, tiny) -> Chain:
    """The same chain, its training videos in shards of three (the last one smaller)."""
    root, shards = str(tiny.root), str(chain.folder / "shards")
    command = [sys.executable, "-m", "paddlevideo", "shard", f"{root}/train.list",
               "--prefix", root, "--samples", "3", "-o", shards]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    train = "{format: ShardDataset, root: shards, shuffle_buffer: 4}"
    chain.options += ["-o", f"DATASET.train={train}"]
    return chain


def kill_again_and_again(chain: Chain, kills: int, seed: int) -> None:
    chain.run_to_end("whole")
    whole, killed = chain.folder / "whole", chain.folder / "killed"
    steps = steps_in(whole)
    rng = np.random.default_rng((SEED, seed))
    for number in range(kills):  # one in each part of the run, the end left out
        step = int((number + rng.random()) * (steps - 2) / kills)
        chain.kill_at("killed", step, delay=float(rng.uniform(0, 0.3)))
    chain.run_to_end("killed")
    check_readable(killed)
    check_same_run(killed, whole)
    assert not list(killed.glob("*.tmp"))
    assert lines_of(killed)[-1]["kind"] == "valid" and len(chain.kills) == kills


def test_a_short_chain(tiny, tmp_path):
    chain = chain_of(tiny, tmp_path, workers=2, ranks=1, epochs=2)
    kill_again_and_again(chain, 2, seed=99)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("workers", [0, 2])
def test_chains(tiny, tmp_path, workers, ranks, seed):
    chain = chain_of(tiny, tmp_path, workers, ranks)
    kill_again_and_again(chain, 5, seed=100 * workers + 10 * ranks + seed)
    print(f"workers {workers}, processes {ranks}, seed {seed}: killed after steps {chain.kills}")


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("workers", [0, 3])
def test_chains_on_shards(tiny, tmp_path, workers, ranks):
    chain = on_shards(chain_of(tiny, tmp_path, workers, ranks), tiny)
    kill_again_and_again(chain, 3, seed=1000 + 10 * workers + ranks)
    print(f"shards, workers {workers}, processes {ranks}: killed after steps {chain.kills}")
