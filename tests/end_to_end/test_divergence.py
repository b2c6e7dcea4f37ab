"""A training that diverges ends with an error, and leaves the good files as they were."""

import json
import math

import numpy as np
import pytest

from paddlevideo.weights import read_weights

from .conftest import NAME, metrics, write_config


def config_of(tiny, rate, smoothing=0.0):
    config = tiny.config("FolderDataset", epochs=4)
    config["MODEL"]["loss"] = {"name": "CrossEntropyLoss", "label_smoothing": smoothing}
    schedule = config["OPTIMIZER"]["learning_rate"]
    schedule.update(cosine_base_lr=rate, warmup_start_lr=rate, max_epoch=4)
    return config


def check_finite(folder):
    def refuse(token):
        raise AssertionError(token)

    for file in [*folder.rglob("*.pdparams"), *folder.rglob("*.safetensors")]:
        for name, array in read_weights(file).items():
            assert np.isfinite(array).all(), (file, name)
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


@pytest.mark.parametrize("validate", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_rate_far_too_high(main_here, tiny, tmp_path, validate, smoothing):
    options = ["--validate"] if validate else []
    good = write_config(tmp_path / "good.yaml", tiny.config("FolderDataset", epochs=1))
    assert main_here("--validate", "-c", good).code == 0
    folder = tmp_path / "output" / NAME
    best = (folder / f"{NAME}_best.pdparams").read_bytes()
    bad = write_config(tmp_path / "bad.yaml", config_of(tiny, 1e30, smoothing))
    message = main_here(*options, "-c", bad).error()
    assert "holds run " in message and "--resume auto" in message and "--overwrite" in message
    resume = ("--resume", "auto", "--resume-anyway")
    message = main_here(*options, "-c", bad, *resume).error()
    assert "not finite" in message and "learning rate 6." in message
    assert "epoch 2, step" in message and "the last good weights are" in message
    assert (folder / f"{NAME}_best.pdparams").read_bytes() == best
    check_finite(folder)


def test_nothing_good_to_name(main_here, tiny, tmp_path):
    bad = write_config(tmp_path / "bad.yaml", config_of(tiny, 1e30))
    assert "no weights were saved" in main_here("-c", bad).error()
    folder = tmp_path / "output" / NAME
    assert not list(folder.glob("*.pdparams"))
    check_finite(folder)


def test_the_last_step_is_judged_too(main_here, tiny, tmp_path):
    """No step follows it whose logits could tell."""
    config = config_of(tiny, 1e30)
    config["OPTIMIZER"] |= {"name": "Momentum", "momentum": 0.9}
    config["OPTIMIZER"]["weight_decay"] = 1e30
    bad = write_config(tmp_path / "bad.yaml", config)
    assert "not finite" in main_here("--max_iters", 1, "-c", bad).error()
    assert not list((tmp_path / "output" / NAME).glob("*.pdparams"))


@pytest.mark.parametrize("topk", [[2], [2, 1]])
def test_the_metric_names_its_headline(main_here, tiny, tmp_path, topk):
    metric = {"name": "TopKAccuracy", "topk": topk}
    config = write_config(
        tmp_path / "k.yaml", tiny.config("FolderDataset", epochs=1, METRIC=metric)
    )
    done = main_here("--validate", "-c", config)
    assert done.code == 0, done.stderr
    assert f"(top{min(topk)} acc)" in done.stderr
    line = metrics(tmp_path / "output" / NAME, "valid")[0]
    assert line["headline"] == f"top{min(topk)}" and math.isfinite(line[line["headline"]])


def test_a_headline_that_cannot_be_wrong(main_here, tiny, tmp_path):
    metric = {"name": "TopKAccuracy", "topk": [5]}
    config = write_config(tmp_path / "k.yaml", tiny.config("FolderDataset", METRIC=metric))
    assert "smallest k is 5, and the model has 3 classes" in main_here("-c", config).error()


def test_validation_files_are_looked_for_at_the_start(main_here, tiny, tmp_path):
    config = tiny.config("VideoDataset")
    (tmp_path / "v.list").write_text("val/blue/0.mp4 0\nval/none.mp4 1\n")
    config["DATASET"]["valid"] = {**config["DATASET"]["valid"], "file_path": "v.list"}
    done = main_here("--validate", "-c", write_config(tmp_path / "c.yaml", config))
    assert "v.list:2: 1 of 2 listed samples are not there" in done.error()
    assert "epoch:[" not in done.stderr
