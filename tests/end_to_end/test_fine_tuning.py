"""From weights of other classes: the head is swapped, stages are frozen, runs go on."""

import numpy as np
import pytest

from end_to_end.conftest import NAME, launch, metrics, write_config
from paddlevideo.weights import read_weights

CLASSIFIER = ("head.classifier.weight", "head.classifier.bias")


@pytest.fixture
def config(tiny, tmp_path):
    content = tiny.config()
    content["MODEL"]["head"]["num_classes"] = 5
    return write_config(tmp_path / "tiny.yaml", content)


def frozen_as(names, before, after):
    return [name for name in names if np.array_equal(before[name], after[name])]


def test_other_classes_and_a_frozen_backbone(main_here, config, best_weights, tmp_path):
    done = main_here("-c", config, "-w", best_weights, "-o", "freeze=backbone")
    assert done.code == 0, done.stderr
    folder = tmp_path / "output" / NAME
    said = f"{best_weights} is of 3 classes, the model has 5: {', '.join(CLASSIFIER)} left at"
    log = (folder / "run.log").read_text()
    assert said in done.stderr and said in log
    assert "freeze: everything up to backbone stays as it is" in log
    before, after = (
        read_weights(path) for path in (best_weights, folder / f"{NAME}_epoch_00002.pdparams")
    )
    backbone = [name for name in before if name.startswith("backbone.")]
    assert frozen_as(backbone, before, after) == backbone  # running statistics too
    assert frozen_as(["head.dense.weight", "head.dense.bias"], before, after) == []
    assert after["head.classifier.bias"].shape == (5,)


def test_testing_and_resuming_want_every_tensor(main_here, config, tiny, best_weights, tmp_path):
    done = main_here("--test", "-c", config, "-w", best_weights)
    assert "does not fit the model; nothing was loaded" in done.error()
    assert "head.classifier.bias: model [5], file [3]" in done.error()
    write_config(tmp_path / "three.yaml", tiny.config())
    done = main_here("-c", "three.yaml", "-w", best_weights, "--max_iters", 1)
    assert done.code == 0, done.stderr
    done = main_here("-c", config, "-w", best_weights, "--resume", "auto", "--resume-anyway")
    assert "does not fit the model; nothing was loaded" in done.error()


def test_a_frozen_run_goes_on(main_here, config, best_weights, tmp_path):
    """Bit for bit; and not with another part frozen."""
    options = ("--validate", "-c", config, "-w", best_weights, "-o", "MODEL.head.num_classes=3")
    options = (*options, "-o", "freeze=block3", "-o", "OPTIMIZER.grad_clip=1.0")
    done = main_here(*options, "-o", "output_dir=whole")
    assert done.code == 0, done.stderr
    parts = (*options, "-o", "output_dir=parts", "-o", "OPTIMIZER.learning_rate.max_epoch=2")
    assert main_here(*parts, "-o", "epochs=1").code == 0
    resume = (*parts, "-o", "resume_epoch=latest", "-o", "epochs=2")
    done = main_here(*resume, "-o", "freeze=stem")
    assert "trained with freeze: block3, and now freeze is stem" in done.error()
    done = main_here(*resume)
    assert done.code == 0, done.stderr
    whole, ours = (
        read_weights(tmp_path / folder / f"{NAME}_epoch_00002.pdparams")
        for folder in ("whole", "parts")
    )
    assert frozen_as(whole, whole, ours) == list(whole)
    assert len(metrics(tmp_path / "parts", "valid")) == 2


def test_an_unknown_stage(main_here, config, tmp_path):
    done = main_here("-c", config, "-o", "freeze=backbon")
    assert 'freeze: the model has no stage "backbon"; did you mean "backbone"?' in done.error()
    assert not (tmp_path / "output").exists()


def test_two_processes_with_recompute_and_frozen_stages(tiny, tmp_path, main_here):
    """Every video the same: two processes take the steps of one, recompute those of none."""
    (tmp_path / "same.list").write_text("train/green/1.mp4 1\n" * 8)
    optimizer = {"name": "Momentum", "momentum": 0.9, "learning_rate": 0.05, "grad_clip": 1.0}
    decay = {"name": "L2", "value": 0.1, "parameters": "kernels"}
    config = tiny.config(OPTIMIZER={**optimizer, "weight_decay": decay}, freeze="block0")
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
        *("main.py", *steps, "-o", "output_dir=two", "-o", "MODEL.backbone.recompute=true"),
        cwd=tmp_path,
        log_dir=tmp_path / "log",
    )
    assert done.code == 0, done.stderr
    one, two = (read_weights(tmp_path / n / f"{NAME}_epoch_00001.pdparams") for n in ("one", "two"))
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
