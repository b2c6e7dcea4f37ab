"""A run that is interrupted and goes on ends with the weights of one that was not."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from child_processes import killed_at_the_end

from end_to_end.conftest import NAME, ROOT, metrics, write_config
from paddlevideo.weights import read_weights

LAST = f"{NAME}_epoch_00002.pdparams"
# Without it, a schedule as long as the file's epochs would follow another number of them.
LENGTH = "OPTIMIZER.learning_rate.max_epoch=2"


def check_identical(folder, other, file=LAST):
    ours, expected = read_weights(folder / file), read_weights(other / file)
    assert ours.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


def check_gone(group: int, seconds: float = 15):
    """Worker processes end by themselves when the process they work for is no more."""
    deadline = time.monotonic() + seconds
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.1)


@pytest.fixture(scope="module")
def config(tiny, tmp_path_factory):
    """Two epochs of a schedule that is fixed by max_epoch, random crops and dropout included."""
    content = tiny.config()
    content["DATASET"]["batch_size"] = 2
    return write_config(tmp_path_factory.mktemp("resume") / "tiny.yaml", content)


@pytest.fixture
def in_one_go(main_here, config, tmp_path):
    done = main_here("--validate", "-c", config, "-o", "output_dir=whole")
    assert done.code == 0, done.stderr
    return tmp_path / "whole"


@pytest.mark.parametrize("num_workers", [0, 1])
def test_one_epoch_and_another(num_workers, in_one_go, main_here, config, tmp_path):
    """Bit for bit, whatever the number of workers."""
    options = ("--validate", "-c", config, "-o", f"DATASET.num_workers={num_workers}")
    options = (*options, "-o", "output_dir=parts", "-o", LENGTH)
    done = main_here(*options, "-o", "epochs=1")
    assert done.code == 0, done.stderr
    done = main_here(*options, "-o", "epochs=2", "-o", "resume_epoch=latest")
    assert done.code == 0, done.stderr
    assert "resumed after epoch 1" in done.stderr
    check_identical(tmp_path / "parts", in_one_go)
    check_identical(tmp_path / "parts", in_one_go, f"{NAME}_best.pdparams")
    top1 = [[line["top1"] for line in metrics(f, "valid")] for f in (in_one_go, tmp_path / "parts")]
    assert top1[0] == top1[1]
    done = main_here(*options, "-o", "epochs=2", "-o", "resume_epoch=latest")  # nothing left to do
    assert done.code == 0, done.stderr
    check_identical(tmp_path / "parts", in_one_go)


def test_a_killed_run_goes_on_from_the_last_valid_checkpoint(
    in_one_go, main_here, config, tmp_path
):
    """Killed in the middle of epoch 2; and the checkpoint it was about to write is half there."""
    command = [sys.executable, str(ROOT / "main.py"), "--validate", "-c", str(config)]
    options = ["-o", "output_dir=killed", "-o", "DATASET.num_workers=1"]
    folder, log = tmp_path / "killed", tmp_path / "killed" / "run.log"
    with subprocess.Popen(
        [*command, *options], cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process, killed_at_the_end(process):  # fmt: skip
        deadline = time.monotonic() + 60
        while not (log.is_file() and "epoch:[  2/2  ]" in log.read_text()):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    check_gone(process.pid)
    assert not (folder / LAST).exists()
    half = folder / f"{NAME}_step_000000006.state"
    half.mkdir()
    (half / "state.json").write_text('{"iterations": 6')
    (folder / f"{half.name}.tmp").mkdir()
    done = main_here("--validate", "-c", config, *options, "-o", "resume_epoch=latest")
    assert done.code == 0, done.stderr
    assert "checkpoint of step 6 is passed over: " in done.stderr
    assert "resumed after epoch 1" in done.stderr
    check_identical(folder, in_one_go)
    assert not list(folder.glob("*.tmp"))


def test_an_altered_checkpoint_is_not_used(in_one_go, main_here, config):
    """Not silently, and not by name."""
    file = in_one_go / f"{NAME}_step_000000006.state" / "optimizer.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    options = ("-c", config, "-o", "output_dir=whole", "--max_iters", 1)
    done = main_here(*options, "-o", "resume_epoch=2")
    assert "cannot resume after step 6" in done.error() and str(file.name) in done.error()
    done = main_here(*options, "-o", "resume_epoch=7")
    assert "cannot resume after epoch 7" in done.error()


def test_max_iters(main_here, config, tmp_path):
    """Stops in the second of two epochs of three steps; both epochs are saved."""
    done = main_here("--validate", "-c", config, "--max_iters", 4)
    assert done.code == 0, done.stderr
    folder = tmp_path / "output" / NAME
    assert [line["step"] for line in metrics(folder, "train") if line["epoch"] == 1] == [0, 1]
    assert "END epoch:2    valid" in done.stderr and (folder / LAST).is_file()
    assert len(metrics(folder, "valid")) == 2
    state = folder / f"{NAME}_step_000000004.state" / "state.json"
    assert json.loads(state.read_text())["parts"]["position"]["iterations"] == 4
