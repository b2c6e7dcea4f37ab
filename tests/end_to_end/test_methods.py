"""The training methods in the whole way: each trains, is saved, and goes on with the same bits."""

import json
import logging

import numpy as np
import pytest

from end_to_end.conftest import NAME, launch, metrics, write_config
from end_to_end.test_resume import check_identical
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.apps.training import train_recipe
from paddlevideo.metrics import METRICS
from paddlevideo.metrics.top_k import TopKAccuracy
from paddlevideo.tasks.build import build_loader, build_split
from paddlevideo.tasks.evaluate import evaluate
from paddlevideo.tasks.hooks import Hook
from paddlevideo.tasks.train import Trainer
from paddlevideo.utils.errors import ConfigError, WeightsError
from paddlevideo.weights import read_weights

LENGTH = "OPTIMIZER.learning_rate.max_epoch"
LAST = f"{NAME}_epoch_00002.pdparams"


@pytest.fixture
def config(tiny, tmp_path):
    content = tiny.config()
    content["DATASET"]["batch_size"] = 2  # three steps an epoch
    content["MODEL"].update(preset="movinet_t0_base")
    content["MODEL"]["backbone"].update(stochastic_depth=0.2)
    return write_config(tmp_path / "tiny.yaml", content)


class StopAt(Hook):
    """Stops after so many steps."""

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations

    def on_step_end(self, training, step):
        if training.position.iterations == self.iterations:
            training.stop("enough")


def train(config, folder, *hooks, **changes):
    changes = {"output_dir": folder, LENGTH: 2, **changes}
    recipe = open_recipe(config, [f"{key}={value}" for key, value in changes.items()])
    trainer = Trainer(recipe, open_model(recipe, None), validate=True, hooks=hooks)
    trainer.run()
    return trainer


def check_resumes(config, tmp_path, *cuts, **changes):
    """Cut after some steps, of three an epoch, and gone on with: all files end the same."""
    whole = train(config, tmp_path / "whole", **changes)
    for cut in cuts:
        folder = tmp_path / f"cut{cut}"
        train(config, folder, StopAt(cut), **changes)
        train(config, folder, resume="auto", **changes)
        for file in (LAST, f"{NAME}_best.pdparams"):
            check_identical(folder, tmp_path / "whole", file)
        ours, expected = (metrics(f, "valid")[-1] for f in (folder, tmp_path / "whole"))
        for line in (ours, expected):
            line.pop("time"), line.pop("seconds"), line.pop("run", None)
        assert ours == expected
    return whole


def test_an_average(config, tmp_path):
    """It is what is validated and the best; weights of training are as without it."""
    section = "{decay: 0.9}"
    trainer = check_resumes(config, tmp_path, 5, EMA=section)
    train(config, tmp_path / "plain")
    check_identical(tmp_path / "whole", tmp_path / "plain", LAST)
    average = read_weights(tmp_path / "whole" / f"{NAME}_epoch_00002_ema.pdparams")
    check_identical(tmp_path / "whole", tmp_path / "cut5", f"{NAME}_epoch_00002_ema.pdparams")
    raw = read_weights(tmp_path / "whole" / LAST)
    assert average.keys() == raw.keys()
    assert not np.array_equal(average["head.classifier.weight"], raw["head.classifier.weight"])
    recipe = trainer.recipe
    model = open_model(recipe, tmp_path / "whole" / f"{NAME}_best.pdparams")
    metric = METRICS.build(recipe.METRIC, "METRIC")
    loader = build_loader(recipe, "valid", build_split(recipe, "valid"), 3)
    found = evaluate(model, loader, metric, "best")
    best = max(metrics(tmp_path / "whole", "valid"), key=lambda line: (line["top1"], -line["loss"]))
    assert found["top1"] == best["top1"] and found["loss"] == pytest.approx(best["loss"], rel=1e-6)
    done = read_weights(next((tmp_path / "whole").glob("*/ema.safetensors")))
    assert set(done) == set(raw)


def test_precise_batch_norm(config, tmp_path, caplog):
    """Of weights and average; the second run from the middle reads the same clips."""
    section = "{preciseBN_interval: 1, num_iters_preciseBN: 2}"
    with caplog.at_level(logging.INFO, "paddlevideo"):
        check_resumes(config, tmp_path, 4, PRECISEBN=section, EMA="{decay: 0.9}")
    assert "statistics of" in caplog.text and "layers from 2 batches" in caplog.text
    train(config, tmp_path / "plain")
    ours, plain = (read_weights(tmp_path / name / LAST) for name in ("whole", "plain"))
    for name, array in plain.items():
        moved = not np.array_equal(ours[name], array)
        assert moved == name.endswith(("_mean", "_variance")), name


def test_a_timetable(config, tmp_path):
    """The classifier for an epoch, then all by rates of their own; cut before and after."""
    table = "[{until_epoch: 1, through: all_but_head}]"
    rates = {"OPTIMIZER.layer_decay": 0.75, "OPTIMIZER.no_weight_decay": "[bias, norm]"}
    check_resumes(config, tmp_path, 2, 4, FREEZE=table, **rates)
    first = read_weights(tmp_path / "whole" / f"{NAME}_epoch_00001.pdparams")
    last = read_weights(tmp_path / "whole" / LAST)
    begin = open_model(open_recipe(config), None)
    for name, tensor in begin.state_dict().items():
        assert np.array_equal(first[name], tensor.numpy()) == ("classifier" not in name), name
    assert not np.array_equal(last["backbone.stem.conv.weight"], first["backbone.stem.conv.weight"])


@pytest.mark.slow
def test_patience(config, tmp_path, monkeypatch):
    """Counted in validations, of the average; a run that has ended so ends again at once."""
    monkeypatch.setattr(TopKAccuracy, "is_better", lambda self, result, best: not best)
    changes = {"epochs": 6, LENGTH: 6, "patience": 1, "val_interval": 2, "EMA": "{decay: 0.9}"}
    whole = train(config, tmp_path / "whole", **changes)
    assert [line["epoch"] for line in metrics(tmp_path / "whole", "valid")] == [2, 4]
    again = train(config, tmp_path / "whole", resume="auto", **changes)
    assert again.position.iterations == whole.position.iterations == 12
    train(config, tmp_path / "parts", StopAt(11), **changes)  # in the fourth epoch
    train(config, tmp_path / "parts", resume="auto", **changes)
    assert [line["epoch"] for line in metrics(tmp_path / "parts", "valid")] == [2, 4]


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(tiny, tmp_path, main_here):
    """Batch norm over both, other clips in each; a stage is frozen at first: three whole steps."""
    lines = [f"train/{('blue', 'green', 'red')[n % 3]}/{n}.mp4 {n % 3}\n" for n in range(6)]
    (tmp_path / "six.list").write_text("".join(lines))
    config = tiny.config(OPTIMIZER={"name": "Momentum", "momentum": 0.9, "learning_rate": 0.05})
    config["MODEL"].update(preset="movinet_t0_base")
    config["MODEL"]["head"]["dropout"] = 0.0
    config["DATASET"]["train"].update(file_path=str(tmp_path / "six.list"))
    config |= {"sync_batch_norm": True, "FREEZE": [{"until_epoch": 1, "through": "block2"}]}
    config["epochs"] = 3
    write_config(tmp_path / "six.yaml", config)
    done = main_here("-c", "six.yaml", "-o", "output_dir=one", "-o", "DATASET.batch_size=6")
    assert done.code == 0, done.stderr
    assert "sync_batch_norm: one process" in done.stderr
    options = ("-c", "six.yaml", "-o", "output_dir=two", "-o", "DATASET.batch_size=3")
    done = launch("main.py", *options, cwd=tmp_path, log_dir=tmp_path / "log")
    assert done.code == 0, done.stderr
    first, last = (f"{NAME}_epoch_0000{epoch}.pdparams" for epoch in (1, 3))
    one, two = (read_weights(tmp_path / name / last) for name in ("one", "two"))
    frozen = read_weights(tmp_path / "two" / first)["backbone.stem.conv.weight"]
    assert not np.array_equal(frozen, two["backbone.stem.conv.weight"])
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-3, atol=1e-5, err_msg=name)


def test_distillation(tiny, config, tmp_path):
    """A run teaches; another teacher is refused at resume, and one of other classes at once."""
    train(config, tmp_path / "teacher", epochs=1)
    options = ["EMA={decay: 0.9}", f"DISTILL={{teacher: {tmp_path / 'teacher'}, alpha: 0.7}}"]

    def student(folder, *more):
        overrides = [*options, f"output_dir={tmp_path / folder}", f"{LENGTH}=2", *more]
        train_recipe(open_recipe(config, overrides), None, validate=True)

    student("whole")
    student("parts", "epochs=1")
    student("parts", "resume=auto")
    check_identical(tmp_path / "parts", tmp_path / "whole", LAST)
    check_identical(tmp_path / "parts", tmp_path / "whole", f"{NAME}_best.pdparams")
    state = json.loads(next((tmp_path / "whole").glob("*/state.json")).read_text())
    assert len(state["parts"]["teacher"]["digest"]) == 64
    train(config, tmp_path / "teacher", epochs=1, seed=5, overwrite=True)
    with pytest.raises(WeightsError, match="other weights of the teacher"):
        student("parts", "epochs=3", "resume=auto")
    with pytest.raises(ConfigError, match="has 3 classes, the model 4"):
        student("other", "MODEL.head.num_classes=4")
    options[1] = f"DISTILL={{teacher: {config}}}"
    with pytest.raises(ConfigError, match=r"DISTILL.weights: name the trained weights of"):
        student("other")
