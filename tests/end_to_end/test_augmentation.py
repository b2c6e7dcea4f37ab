"""Every part of the augmentation trains, from a config on: some steps each; and goes on exactly."""

import numpy as np
import paddle
import pytest

from end_to_end.conftest import CLASSES, ROOT, launch, metrics, write_config
from end_to_end.test_distributed import DUMPING_MAIN, dumped
from end_to_end.test_resume import check_identical
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.tasks.hooks import Hook
from paddlevideo.tasks.train import Trainer
from paddlevideo.utils.errors import ConfigError
from paddlevideo.weights import model_arrays

SMALL = {"name": "MoViNet", "model_type": "T0", "bn_momentum": 0.9}
MIXES = {
    "mixup": {"name": "Mixup", "alpha": 0.4},
    "cutmix": {"name": "Cutmix", "alpha": 1.0},
    "videomix": {"name": "VideoMix", "mode": "spatiotemporal"},
    "switch": {"name": "SwitchMix", "mixes": [{"name": "Mixup"}, {"name": "VideoMix"}]},
}
STEPS = {
    "randaugment": {"RandAugment": {"magnitude": 5, "magnitude_std": 1.0}},
    "autoaugment": {"AutoAugment": {}},
    "erasing": {"RandomErasing": {"p": 1.0}},
}


class Batches(Hook):
    """Keeps what every step was taken on, and may stop the training."""

    def __init__(self, stop_at: int = 0) -> None:
        self.stop_at = stop_at
        self.batches, self.losses = [], []

    def on_step_end(self, training, step):
        self.batches.append({name: tensor.numpy() for name, tensor in step.batch.items()})
        self.losses.append(step.result["loss"].item())
        if training.position.iterations == self.stop_at:
            training.stop("enough")


@pytest.fixture
def config(tiny):
    content = tiny.config()
    content["DATASET"]["batch_size"] = 2  # three steps an epoch
    content["MODEL"] = {
        "backbone": dict(SMALL),
        "head": {"name": "ClassifierHead", "num_classes": len(CLASSES), "dropout": 0.0},
        "loss": {"name": "CrossEntropyLoss", "label_smoothing": 0.1},
    }
    return content


def train(config, folder, hook=None, max_iters=None, **changes):
    path = write_config(
        folder.parent / f"{folder.name}.yaml", {**config, "output_dir": str(folder)}
    )
    recipe = open_recipe(path, [f"{key}={value}" for key, value in changes.items()])
    paddle.seed(0)
    hook = hook or Batches()
    trainer = Trainer(recipe, open_model(recipe, None), max_iters=max_iters, hooks=[hook])
    before = model_arrays(trainer.model)
    trainer.run()
    after = model_arrays(trainer.model)
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    assert np.isfinite(hook.losses).all()
    return trainer, hook


@pytest.mark.parametrize("mix", MIXES)
def test_mixes(mix, config, tmp_path):
    """The step is taken on mixed clips with both labels; the loss is that of both."""
    _, plain = train(config, tmp_path / "plain", max_iters=1)
    trainer, mixed = train({**config, "MIX": MIXES[mix]}, tmp_path / "mixed", max_iters=1)
    (batch,), (before,) = mixed.batches, plain.batches
    np.testing.assert_array_equal(batch["index"], before["index"])
    assert {*batch["label"], *batch["mixed_label"]} == set(before["label"])
    assert 0.5 <= batch["mix_weight"] <= 1.0
    assert batch["mix_weight"] == 1.0 or not np.array_equal(batch["clip"], before["clip"])
    assert trainer.mixing.mix is not None


@pytest.mark.parametrize("name", STEPS)
def test_transforms(name, config, tmp_path):
    config["PIPELINE"]["train"]["transform"].insert(2, STEPS[name])
    _, hook = train(config, tmp_path / "run", max_iters=2)
    assert len(hook.batches) == 2 and hook.batches[0]["clip"].dtype == np.uint8


def test_balance_weights_and_repeats(config, tmp_path):
    """Three classes of 3, 2 and 2 clips: one draw each of equal classes, their weights by count."""
    config["MODEL"]["loss"]["class_weights"] = "balanced"
    config["DATASET"]["balance"] = "classes"
    trainer, hook = train(config, tmp_path / "balanced", epochs=2)
    labels = np.concatenate([batch["label"] for batch in hook.batches])
    assert np.bincount(labels).min() >= 3 and len(labels) == 12
    weights = trainer.model.criterion._weights.numpy()
    np.testing.assert_allclose(weights, [7 / 9, 7 / 6, 7 / 6], rtol=1e-6)
    config["DATASET"].update(balance="none", repeats=2)
    _, hook = train(config, tmp_path / "repeated", max_iters=3)
    assert all(len(set(batch["index"])) == 1 for batch in hook.batches)
    assert any(not np.array_equal(*batch["clip"]) for batch in hook.batches)


def test_repeats_that_do_not_divide(config, tmp_path):
    config["DATASET"]["repeats"] = 3
    with pytest.raises(ConfigError, match=r"DATASET\.repeats is 3, which does not divide batch_s"):
        train(config, tmp_path / "run")


def test_all_at_once_goes_on_exactly(config, tmp_path):
    """Stopped in the middle of an epoch: the same weights, to the bit."""
    config["MIX"] = {**MIXES["switch"], "probability": 0.7}
    config["DATASET"].update(balance="sqrt", repeats=2)
    config["MODEL"]["loss"]["class_weights"] = "balanced"
    for step in STEPS.values():
        config["PIPELINE"]["train"]["transform"].insert(2, step)
    _, whole = train(config, tmp_path / "whole")
    train(config, tmp_path / "parts", Batches(stop_at=2))
    _, rest = train(config, tmp_path / "parts", resume_epoch="latest")
    assert len(whole.batches) == 6 and len(rest.batches) == 4
    assert whole.losses[2:] == rest.losses
    check_identical(tmp_path / "parts", tmp_path / "whole")


def test_the_shipped_config_trains_on_the_built_in_data(main_here, tmp_path, monkeypatch):
    """movinet_a0_motion_augmented.yaml on 16 of its videos, as a user starts it."""
    monkeypatch.syspath_prepend(ROOT / "data" / "motion")
    from motion_dataset import MotionParameters, generate_dataset

    generate_dataset(tmp_path / "videos", MotionParameters(train=16, val=8, size=32), workers=1)
    places = [
        option
        for split, file in (("train", "train"), ("valid", "val"), ("test", "val"))
        for option in (
            *("-o", f"DATASET.{split}.data_prefix=videos"),
            *("-o", f"DATASET.{split}.file_path=videos/{file}.list"),
        )
    ]
    config = ROOT / "configs/recognition/movinet/movinet_a0_motion_augmented.yaml"
    done = main_here(
        *("-c", config, "--validate", *places, "-o", "DATASET.class_names=videos/classes.txt"),
        *("-o", "epochs=2", "-o", "DATASET.balance=classes", "-o", "output_dir=run"),
    )
    assert done.code == 0, done.stderr
    epochs = metrics(tmp_path / "run", "train_epoch")
    assert len(epochs) == 2 and all(np.isfinite(line["loss"]) for line in epochs)
    assert (tmp_path / "run" / "MoViNetA0MotionAugmented_best.pdparams").is_file()


@pytest.mark.slow
def test_two_processes(config, tmp_path):
    """Mixed, balanced and repeated: they stay one model, whose weights agree to the bit.

    15 s: pytest -m slow tests/end_to_end/test_augmentation.py
    """
    config.update(MIX=MIXES["switch"], output_dir="run")
    config["DATASET"].update(balance="classes", repeats=2)
    config["MODEL"]["loss"]["class_weights"] = "balanced"
    write_config(tmp_path / "two.yaml", config)
    done = launch(
        *(DUMPING_MAIN, "--validate", "-c", "two.yaml"), cwd=tmp_path, log_dir=tmp_path / "log"
    )
    assert done.code == 0, done.stderr
    first, second = dumped(tmp_path, 0), dumped(tmp_path, 1)
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array, err_msg=name)
    assert all(np.isfinite(line["loss"]) for line in metrics(tmp_path / "run", "train_epoch"))
