"""Training in two processes: one model, one set of files, the gradients of one large batch."""

import json
from pathlib import Path

import numpy as np

from end_to_end.conftest import NAME, launch, metrics, write_config
from paddlevideo.weights import read_weights

DUMPING_MAIN = Path(__file__).parent / "main_that_dumps.py"


def dumped(folder: Path, rank: int) -> dict:
    with np.load(folder / f"rank{rank}.npz") as content:
        return dict(content)


def test_two_processes_train_one_model(tiny, tmp_path):
    """Each reads its own videos; weights agree after it, and the running statistics too."""
    write_config(tmp_path / "tiny.yaml", tiny.config("FolderDataset"))
    done = launch(
        *(DUMPING_MAIN, "--validate", "-c", "tiny.yaml"), cwd=tmp_path, log_dir=tmp_path / "log"
    )
    assert done.code == 0, done.stderr
    first, second = dumped(tmp_path, 0), dumped(tmp_path, 1)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array, err_msg=name)
    run = tmp_path / "output" / NAME
    saved = read_weights(run / f"{NAME}_epoch_00002.pdparams")
    for name, array in saved.items():
        np.testing.assert_array_equal(first[name], array, err_msg=name)
    assert len(metrics(run, "valid")) == len(metrics(run, "train_epoch")) == 2
    assert not list(run.glob("*.tmp")) and not list(run.glob(".*"))
    assert json.loads((run / "environment.json").read_text())["processes"] == 2
    assert done.stderr.count("training finished") == 1


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
