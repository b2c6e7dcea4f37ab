"""Parts and hooks that are added from outside train, are saved and go on; the loop is as it is."""

import logging

import numpy as np
import paddle
import pytest
from tasks.old_form import as_old

from end_to_end.conftest import NAME, metrics, write_config
from end_to_end.test_resume import check_identical
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.tasks.hooks import HOOKS, Hook
from paddlevideo.tasks.stateful import Stateful, arrays_of
from paddlevideo.tasks.train import Trainer
from paddlevideo.utils.errors import ConfigError, WeightsError
from paddlevideo.weights import model_arrays, read_weights


class Average(Hook, Stateful):
    """An exponential moving average of the weights."""

    may_begin_anew = True

    def __init__(self, decay: float = 0.9) -> None:
        self.decay, self.updates = decay, 0
        self.arrays: dict[str, np.ndarray] = {}

    def on_train_start(self, training):
        if not self.arrays:
            self.arrays = model_arrays(training.model)

    def on_step_end(self, training, step):
        if step.updated:
            self.updates += 1
            for name, array in model_arrays(training.model).items():
                self.arrays[name] = self.decay * self.arrays[name] + (1 - self.decay) * array

    def state_dict(self):
        return {"updates": self.updates, **self.arrays}

    def load_state_dict(self, state, source):
        self.updates, self.arrays = state["updates"], arrays_of(state)


class Writer(Hook):
    """Remembers what was reported to it, and asks for things in the middle of an epoch."""

    def __init__(self, save_at: int = 0, stop_at: int = 0) -> None:
        self.save_at, self.stop_at = save_at, stop_at
        self.calls, self.events = [], []

    def on_train_start(self, training):
        self.calls.append("train start")

    def on_epoch_start(self, training):
        self.calls.append("epoch start")

    def on_step_end(self, training, step):
        assert set(step.result) == {"loss", "logits", "grad_norm"} and "label" in step.batch
        self.calls.append((training.position.epoch, training.position.step))
        if training.position.iterations == self.save_at:
            training.ask_to_save()
        if training.position.iterations == self.stop_at:
            training.stop("enough")

    def on_epoch_end(self, training):
        self.calls.append("epoch end")

    def on_validation_end(self, training, result):
        self.calls.append(f"valid {result['samples']}")

    def on_train_end(self, training):
        self.calls.append("train end")

    def on_event(self, event):
        self.events.append((event.kind, event.values.get("epoch"), event.values.get("step")))


@pytest.fixture
def config(tiny, tmp_path):
    content = tiny.config()
    content["DATASET"]["batch_size"] = 2  # three steps an epoch
    content["MODEL"]["head"]["dropout"] = 0.0
    return write_config(tmp_path / "tiny.yaml", content)


def state_name(step):
    return f"{NAME}_step_{step:09d}.state"


def train(config, folder, *hooks, **changes):
    changes = {"output_dir": folder, "OPTIMIZER.learning_rate.max_epoch": 2, **changes}
    recipe = open_recipe(config, [f"{key}={value}" for key, value in changes.items()])
    trainer = Trainer(recipe, open_model(recipe, None), validate=True, hooks=hooks)
    trainer.run()
    return trainer


def test_an_average_and_a_writer(config, tmp_path):
    """They are added, called in order, saved under their name, and go on with the same bits."""
    average, writer = Average(), Writer()
    train(config, tmp_path / "whole", average, writer)
    epoch = [("epoch start",), [(0, 1), (0, 2), (1, 0)], ("epoch end", "valid 7")]
    second = [(1, 1), (1, 2), (2, 0)]
    assert writer.calls == [
        *("train start", *epoch[0], *epoch[1], *epoch[2]),
        *(*epoch[0], *second, *epoch[2], "train end"),
    ]
    lines = [(0, "train", s) for s in (0, 1)]
    assert writer.events == [
        ("start", 0, None),
        *[(kind, e, s) for e in (1, 2) for _, kind, s in (*lines, (0, "train_epoch", None),
                                                          (0, "valid", None))],
    ]  # fmt: skip
    train(config, tmp_path / "parts", Average(), epochs=1)
    resumed = Average()
    train(config, tmp_path / "parts", resumed, resume_epoch="latest")
    assert resumed.updates == average.updates == 6
    for name, array in average.arrays.items():
        np.testing.assert_array_equal(resumed.arrays[name], array, err_msg=name)
    file = f"{state_name(6)}/Average.safetensors"
    check_identical(tmp_path / "parts", tmp_path / "whole", file)
    assert set(read_weights(tmp_path / "whole" / file)) == set(average.arrays)
    check_identical(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.parametrize("how", ["stop_at", "save_at"])
def test_a_run_goes_on_from_the_middle_of_an_epoch(how, config, tmp_path):
    """Weights, average and the numbers of the epoch are those of the run left alone."""
    average = Average()
    train(config, tmp_path / "whole", average)
    hook = Writer(**{how: 5})
    if how == "save_at":  # and then it dies
        hook.on_epoch_end = lambda training: 1 / (training.position.epoch < 2)
        with pytest.raises(ZeroDivisionError):
            train(config, tmp_path / "parts", Average(), hook)
    else:
        train(config, tmp_path / "parts", Average(), hook)
    assert hook.calls[-2:] == [(1, 2) if how == "stop_at" else (2, 0), "train end"]
    resumed = Average()
    trainer = train(config, tmp_path / "parts", resumed, resume_epoch="latest")
    assert (trainer.position.epoch, trainer.position.step) == (2, 0)
    assert trainer.position.iterations == 6
    for name, array in average.arrays.items():
        np.testing.assert_array_equal(resumed.arrays[name], array, err_msg=name)
    check_identical(tmp_path / "parts", tmp_path / "whole")
    ours, whole = (metrics(tmp_path / n, "train_epoch")[-1] for n in ("parts", "whole"))
    assert all(ours[key] == whole[key] for key in ("epoch", "loss", "top1", "lr"))


def test_a_listed_hook(config, tmp_path, caplog):
    """HOOKS in a config; one whose state the checkpoint lacks begins anew."""
    train(config, tmp_path / "run", epochs=1)
    HOOKS.register(Average)
    listed = "[{name: Average, decay: 0.5}]"
    with caplog.at_level(logging.INFO, "paddlevideo"):
        trainer = train(config, tmp_path / "run", HOOKS=listed, resume_epoch=1, resume_anyway=True)
    assert "the checkpoint has no state of Average: begun anew" in caplog.text
    assert trainer.parts["Average"].decay == 0.5 and trainer.parts["Average"].updates == 3
    with pytest.raises(ConfigError, match=r'HOOKS\[0\]: unknown argument "dekay"'):
        train(config, tmp_path / "run", HOOKS="[{name: Average, dekay: 0.5}]")
    with pytest.raises(ConfigError, match="HOOKS: Average is listed twice"):
        train(config, tmp_path / "run", Average(), HOOKS=listed)


@pytest.mark.parametrize("flat", [False, True])
def test_a_checkpoint_of_earlier_versions(config, tmp_path, flat):
    """It is resumed as ever: named by epoch, and as before there were parts."""
    train(config, tmp_path / "whole")
    train(config, tmp_path / "old", epochs=1)
    folder = as_old(tmp_path / "old" / state_name(3), 1, flat)
    for name in ("run.json", f"{NAME}_best.json"):
        (tmp_path / "old" / name).unlink()
    trainer = train(config, tmp_path / "old", resume_epoch="latest")
    assert trainer.position.iterations == 6
    check_identical(tmp_path / "old", tmp_path / "whole")
    check_identical(tmp_path / "old", tmp_path / "whole", f"{NAME}_best.pdparams")
    assert folder.is_dir()  # the last two states are kept


def test_another_number_of_steps(config, tmp_path):
    """A position that an epoch does not have is refused, and nothing is taken."""
    train(config, tmp_path / "run", Writer(stop_at=2))
    with pytest.raises(WeightsError, match="goes on in epoch 1 before step 2, and an epoch has 2"):
        train(config, tmp_path / "run", resume_epoch="latest", **{"DATASET.batch_size": 3})


def test_the_scale_of_the_loss_is_a_part():
    from paddlevideo.tasks.parts import ScalerPart

    class Scaler:
        def __init__(self):
            self.state = {"scale": np.array([4.0], np.float32), "incr_count": 3}

        def state_dict(self):
            return self.state

        def is_enable(self):
            return True

        def load_state_dict(self, state):
            self.state = state

    part = ScalerPart(Scaler())
    other = ScalerPart(Scaler())
    other.scaler.state = {}
    other.load_state_dict(part.state_dict(), "file")
    assert other.scaler.state == part.scaler.state
    disabled = ScalerPart(paddle.amp.GradScaler(enable=False))
    assert disabled.state_dict() == {}
    disabled.load_state_dict(part.state_dict(), "file")  # a run without float16 goes on
