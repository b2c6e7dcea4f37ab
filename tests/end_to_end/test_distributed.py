"""Training in two processes: one model, one set of files, the gradients of one large batch."""

import json
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from end_to_end.conftest import NAME, ROOT, launch, metrics, write_config
from paddlevideo.weights import read_weights

DUMPING_MAIN = Path(__file__).parent / "main_that_dumps.py"
FAILING_MAIN = Path(__file__).parent / "main_that_fails.py"


def dumped(folder: Path, rank: int) -> dict:
    with np.load(folder / f"rank{rank}.npz") as content:
        return dict(content)


def one_thread(tiny) -> dict:
    """A config whose sums do not depend on how many processes share a machine's cores."""
    return tiny.config("FolderDataset", num_threads=1)


@pytest.fixture(scope="module")
def one_node(tiny, tmp_path_factory):
    """How a training in two processes of one launcher ended, and its working folder."""
    cwd = tmp_path_factory.mktemp("one_node")
    write_config(cwd / "tiny.yaml", one_thread(tiny))
    done = launch(*(DUMPING_MAIN, "--validate", "-c", "tiny.yaml"), cwd=cwd, log_dir=cwd / "log")
    return done, cwd


def assert_equal(one: dict, other: dict) -> None:
    """To the bit, running statistics included."""
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(other[name], array, err_msg=name)


def test_two_processes_train_one_model(one_node):
    """Each reads its own videos; weights agree after it, and the running statistics too."""
    done, cwd = one_node
    assert done.code == 0, done.stderr
    first = dumped(cwd, 0)
    assert_equal(first, dumped(cwd, 1))
    run = cwd / "output" / NAME
    saved = read_weights(run / f"{NAME}_epoch_00002.pdparams")
    for name, array in saved.items():
        np.testing.assert_array_equal(first[name], array, err_msg=name)
    assert len(metrics(run, "valid")) == len(metrics(run, "train_epoch")) == 2
    assert not list(run.glob("*.tmp")) and not list(run.glob(".*"))
    assert json.loads((run / "environment.json").read_text())["processes"] == 2
    assert done.stderr.count("training finished") == 1


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def launch_nodes(script, *arguments, cwd, timeout=180, folders=None) -> list[int]:
    """Run two launchers of one process each, as two nodes would; their exit codes.

    The logs are ``node0/workerlog.0`` and ``node1/workerlog.0``.

    Args:
        folders: working folder of each node; by default ``cwd``, as of a shared file system.
    """
    folders = folders or (cwd, cwd)
    master = f"127.0.0.1:{free_port()}"
    with ExitStack() as ends:
        nodes = []
        for node in range(2):
            command = [
                *(sys.executable, "-m", "paddle.distributed.launch", "--nnodes", "2"),
                *("--master", master, "--rank", str(node), "--nproc_per_node", "1"),
                *("--log_dir", f"{cwd}/node{node}", str(script), *map(str, arguments)),
            ]
            said = ends.enter_context(Path(cwd, f"node{node}.txt").open("w"))
            nodes.append(subprocess.Popen(command, cwd=folders[node], stdout=said, stderr=said))
            ends.callback(nodes[-1].kill)  # nothing, where it has ended
        return [node.wait(timeout) for node in nodes]


@pytest.mark.slow
def test_two_nodes_are_two_processes(one_node, tiny, tmp_path):
    """Two launchers on loopback: the very weights of one launcher with as many processes."""
    write_config(tmp_path / "tiny.yaml", one_thread(tiny))
    codes = launch_nodes(DUMPING_MAIN, "--validate", "-c", "tiny.yaml", cwd=tmp_path)
    assert codes == [0, 0], (tmp_path / "node0" / "workerlog.0").read_text()
    _, cwd = one_node
    for rank in range(2):
        assert_equal(dumped(tmp_path, rank), dumped(cwd, rank))
    run = tmp_path / "output" / NAME
    assert json.loads((run / "environment.json").read_text())["processes"] == 2
    ours, theirs = (metrics(folder / "output" / NAME, "valid") for folder in (tmp_path, cwd))
    assert [line["loss"] for line in ours] == [line["loss"] for line in theirs]


def test_accumulation_over_processes(tiny, tmp_path, main_here):
    """Two processes x two batches, one process x four: one update of the same eight clips.

    Plain SGD, so that the weights' steps are the gradients; the rate follows the eight clips too.
    """
    rate = {"name": "Constant", "learning_rate": 0.4, "reference_batch_size": 64}
    config = tiny.config(
        OPTIMIZER={"name": "SGD", "learning_rate": rate},
        GRADIENT_ACCUMULATION={"global_batch_size": 8},
    )
    config["MODEL"]["head"]["dropout"] = 0.0
    config["DATASET"].update(batch_size=2)
    lines = (tiny.root / "train.list").read_text().splitlines(keepends=True)
    (tmp_path / "eight.list").write_text("".join([*lines, lines[0]]))
    config["DATASET"]["train"]["file_path"] = str(tmp_path / "eight.list")
    write_config(tmp_path / "eight.yaml", config)
    steps = ("-c", "eight.yaml", "-o", "epochs=1")
    done = main_here(*steps, "-o", "output_dir=one")
    assert done.code == 0, done.stderr
    assert "learning rates x 0.125: an update is of 8 clips" in done.stderr
    done = launch(
        *("main.py", *steps, "-o", "output_dir=two"), cwd=tmp_path, log_dir=tmp_path / "log"
    )
    assert done.code == 0, done.stderr
    assert "learning rates x 0.125: an update is of 8 clips" in done.stderr
    one, two = (read_weights(tmp_path / n / f"{NAME}_epoch_00001.pdparams") for n in ("one", "two"))
    trained = [name for name in one if not name.endswith(("_mean", "_variance"))]
    assert len(trained) > 100
    for name in trained:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert metrics(tmp_path / "one", "train")[-1]["lr"] == pytest.approx(0.05)


def test_gradients_are_averaged(tiny, tmp_path, main_here):
    """Every video the same: two processes then take the very steps that one process takes.

    Plain SGD, whose step is proportional to the gradient: a sum in place of a mean would show.
    """
    (tmp_path / "same.list").write_text("train/green/1.mp4 1\n" * 8)
    config = tiny.config(OPTIMIZER={"name": "Momentum", "momentum": 0.9, "learning_rate": 0.05})
    config["MODEL"]["head"]["dropout"] = 0.0
    config["DATASET"].update(batch_size=2)
    config["DATASET"]["train"].update(file_path=str(tmp_path / "same.list"))
    config["PIPELINE"]["train"] = config["PIPELINE"]["test"]
    config["PIPELINE"]["train"]["sample"]["jitter"] = "none"
    write_config(tmp_path / "same.yaml", config)
    steps = ("--max_iters", 2, "-c", "same.yaml")
    done = main_here(*steps, "-o", "output_dir=one")
    assert done.code == 0, done.stderr
    done = launch(
        *("main.py", *steps, "-o", "output_dir=two"), cwd=tmp_path, log_dir=tmp_path / "log"
    )
    assert done.code == 0, done.stderr
    one, two = (read_weights(tmp_path / n / f"{NAME}_epoch_00001.pdparams") for n in ("one", "two"))
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_an_error_in_one_process_ends_both(tiny, tmp_path, best_weights):
    """The second process's share holds a damaged video; the first must not wait for ever."""
    (tmp_path / "damaged.mp4").write_bytes(b"not a video" * 100)
    lines = [f"{tiny.root}/val/green/1.mp4 1\n", f"{tmp_path}/damaged.mp4 0\n"]
    (tmp_path / "two.list").write_text("".join(lines))
    config = tiny.config()
    config["DATASET"]["test"] = {"format": "VideoDataset", "file_path": "two.list"}
    write_config(tmp_path / "tiny.yaml", config)
    done = launch(
        *("main.py", "--test", "-c", "tiny.yaml", "-w", best_weights),
        cwd=tmp_path,
        log_dir=tmp_path / "log",
        timeout=90,
    )
    assert done.code != 0
    said = (tmp_path / "log" / "workerlog.1").read_text()
    assert said.count("error: ") == 1 and "damaged.mp4" in said and "two.list:2" in said


@pytest.mark.parametrize(
    ("rank", "place"),
    [
        (1, "validate"),
        pytest.param(0, "save", marks=pytest.mark.slow),
        pytest.param(1, "read", marks=pytest.mark.slow),
        pytest.param(0, "read", marks=pytest.mark.slow),
        pytest.param(1, "step", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("nodes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_fails_in_one_process_ends_all(nodes, rank, place, tiny, tmp_path):
    """The other must not wait in a collective: both end, and one message says why."""
    write_config(tmp_path / "tiny.yaml", tiny.config("FolderDataset", epochs=4))
    arguments = (FAILING_MAIN, rank, place, "--validate", "-c", "tiny.yaml")
    begin = time.monotonic()
    if nodes == 1:
        codes = [launch(*arguments, cwd=tmp_path, log_dir=tmp_path / "log", timeout=150).code]
        logs = [tmp_path / "log" / f"workerlog.{r}" for r in range(2)]
    else:
        codes = launch_nodes(*arguments, cwd=tmp_path, timeout=150)
        logs = [tmp_path / f"node{r}" / "workerlog.0" for r in range(2)]
    assert 0 not in codes, f"after {time.monotonic() - begin:.0f} s"
    said = [log.read_text() for log in logs]
    assert said[rank].count(f"error: only here: {place}") == 1
    assert "training finished" not in "".join(said)


@pytest.mark.slow
@pytest.mark.parametrize("unlike", ["list", "config"])
def test_nodes_that_begin_unlike(unlike, tiny, tmp_path):
    """Without a shared file system each node has its own: both end, and say what differs."""
    folders = [tmp_path / "first", tmp_path / "second"]
    for number, folder in enumerate(folders):
        config = tiny.config(epochs=3)
        if unlike == "list" and number:
            lines = (tiny.root / "train.list").read_text().splitlines(keepends=True)
            folder.mkdir()
            (folder / "other.list").write_text("".join(lines[1:]))
            config["DATASET"]["train"]["file_path"] = "other.list"
        if unlike == "config" and number:
            config["OPTIMIZER"]["weight_decay"] = 0.02
        folder.mkdir(exist_ok=True)
        write_config(folder / "tiny.yaml", config)
    arguments = (ROOT / "main.py", "-c", "tiny.yaml")
    codes = launch_nodes(*arguments, cwd=tmp_path, folders=folders)
    what = {
        "list": "the labels of the train split",
        "config": "the config, but for DATASET and what is of one machine",
    }[unlike]
    message = f"error: the processes do not begin alike: {what} of process 1 differs"
    for number in range(2):
        said = (tmp_path / f"node{number}" / "workerlog.0").read_text()
        assert codes[number] == 1 and said.count(message) == 1, said
