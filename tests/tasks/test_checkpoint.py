"""Checkpoints: a run goes on as if it had never stopped; a damaged one is never used."""

import json
import logging

import numpy as np
import paddle
import pytest
from paddle import nn

from paddlevideo.solver import build_optimizer
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.tasks.parts import ModelPart, OptimizerPart, optimizer_arrays, optimizer_state_of
from paddlevideo.tasks.stateful import Stateful
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights import model_arrays, read_weights

OPTIMIZERS = {
    "RMSProp": {"name": "RMSProp", "momentum": 0.9, "rho": 0.9, "epsilon": 1.0,
                "weight_decay": {"name": "L2", "value": 0.1}},
    "RMSProp centered": {"name": "RMSProp", "momentum": 0.9, "centered": True},
    "AdamW": {"name": "AdamW", "weight_decay": 0.1, "no_weight_decay_name": "bn"},
    "Adam": {"name": "Adam"},
    "Momentum": {"name": "Momentum", "momentum": 0.9, "use_nesterov": True},
    "Lamb": {"name": "Lamb", "weight_decay": 0.1},
    "SGD": {"name": "SGD"},
}  # fmt: skip


class Net(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(4, 3)
        self.bn = nn.BatchNorm1D(3)
        self.dense_1 = nn.Linear(3, 2)  # names of which one is the beginning of the other

    def forward(self, x):
        return self.dense_1(nn.functional.tanh(self.bn(self.dense(x))))


class Run:
    """A network with its optimizer, built after ``layers_before`` other layers."""

    def __init__(self, node, layers_before: int = 0) -> None:
        self.others = [nn.Linear(4, 3) for _ in range(layers_before)]
        self.net = Net()
        rng = np.random.default_rng(0)
        for name, parameter in self.net.named_parameters():
            if not name.endswith(("_mean", "_variance")):
                parameter.set_value(rng.standard_normal(parameter.shape).astype("float32"))
        self.optimizer = build_optimizer({"learning_rate": 0.1, **node}, self.net, "OPTIMIZER")

    @property
    def parts(self) -> dict[str, Stateful]:
        return {"model": ModelPart(self.net), "optimizer": OptimizerPart(self.optimizer, self.net)}

    def train(self, first: int, stop: int) -> "Run":
        for step in range(first, stop):
            rng = np.random.default_rng(step)
            x = paddle.to_tensor(rng.standard_normal((5, 4)).astype("float32"))
            (self.net(x) ** 2).mean().backward()
            self.optimizer.set_lr(0.05 + 0.01 * step)
            self.optimizer.step()
            self.optimizer.clear_grad()
        return self


def assert_same(one: Run, other: Run) -> None:
    for ours, theirs in (
        (model_arrays(one.net), model_arrays(other.net)),
        (optimizer_arrays(one.optimizer, one.net), optimizer_arrays(other.optimizer, other.net)),
    ):
        assert set(ours) == set(theirs)
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    return Checkpoints(tmp_path, "Net")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_goes_on_as_if_it_had_never_stopped(checkpoints, name):
    through = Run(OPTIMIZERS[name]).train(0, 3)
    checkpoints.save(3, through.parts)
    resumed = Run(OPTIMIZERS[name], layers_before=2)  # Paddle's generated names differ
    generated = [{p.name for p in run.net.parameters()} for run in (through, resumed)]
    assert not generated[0] & generated[1]
    resumed.train(7, 9)  # whatever was in it is replaced
    checkpoints.load(3, resumed.parts)
    assert_same(resumed, through)
    through.train(3, 6)
    resumed.train(3, 6)
    assert_same(resumed, through)
    assert not np.array_equal(
        model_arrays(through.net)["dense.weight"],
        model_arrays(Run(OPTIMIZERS[name]).net)["dense.weight"],
    )


def test_optimizer_state_has_structural_names():
    run = Run(OPTIMIZERS["AdamW"], layers_before=3).train(0, 1)
    names = set(optimizer_arrays(run.optimizer, run.net))
    trained = {"dense.weight", "dense.bias", "bn.weight", "bn.bias", "dense_1.weight",
               "dense_1.bias"}  # fmt: skip
    assert {name.split("/")[0] for name in names} == trained
    assert {name.split("/")[1] for name in names} == {
        "moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0"
    }  # fmt: skip


def test_state_of_an_unknown_parameter():
    run = Run(OPTIMIZERS["Adam"]).train(0, 1)
    arrays = {**optimizer_arrays(run.optimizer, run.net), "old.weight/moment1_0": np.zeros(1)}
    with pytest.raises(WeightsError, match=r"file: the model has no parameter old.weight"):
        optimizer_state_of(run.net, arrays, "file")


def test_state_of_another_optimizer(checkpoints):
    run = Run(OPTIMIZERS["Momentum"]).train(0, 2)
    checkpoints.save(1, run.parts)
    other = Run(OPTIMIZERS["AdamW"])
    before = model_arrays(other.net)
    with pytest.raises(WeightsError, match=r"another optimizer, Momentum, and OPTIMIZER is AdamW"):
        checkpoints.load(1, other.parts)
    assert all(np.array_equal(before[k], a) for k, a in model_arrays(other.net).items())


def test_what_is_written(checkpoints, tmp_path):
    run = Run(OPTIMIZERS["RMSProp"]).train(0, 1)
    for epoch in (1, 2, 3, 10):
        checkpoints.save(epoch, run.parts)
    names = {path.name for path in tmp_path.iterdir()}
    weights = {f"Net_epoch_{epoch:05d}.pdparams" for epoch in (1, 2, 3, 10)}
    states = {f"Net_epoch_{epoch:05d}.state" for epoch in (3, 10)}  # older states are dropped
    assert names == weights | states
    for state in states:
        files = {path.name for path in (tmp_path / state).iterdir()}
        assert files == {"optimizer.safetensors", "state.json", "manifest.json"}
    assert checkpoints.newest_valid() == 10
    with pytest.raises(WeightsError, match=r"cannot resume after epoch 1: .*manifest.json is miss"):
        checkpoints.load(1, run.parts)


def test_best(checkpoints):
    run = Run(OPTIMIZERS["SGD"])
    checkpoints.save_best(run.net)
    ours = read_weights(checkpoints.best_weights)
    assert checkpoints.best_weights.name == "Net_best.pdparams"
    assert all(np.array_equal(ours[k], array) for k, array in model_arrays(run.net).items())
    assert checkpoints.newest_valid() == 0  # best weights are no checkpoint


@pytest.mark.parametrize("name", ["Net", "a[1]", "x_epoch_7", "ümlaut *"])
def test_names_of_models(tmp_path, name):
    run = Run(OPTIMIZERS["SGD"])
    Checkpoints(tmp_path, "Other").save(9, run.parts)
    checkpoints = Checkpoints(tmp_path, name)
    assert checkpoints.newest_valid() == 0
    checkpoints.save(2, run.parts)
    assert checkpoints.newest_valid() == 2
    checkpoints.load(2, run.parts)


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def edit_manifest(change):
    def edit(path):
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps(change(manifest)))

    return edit


DAMAGE = {
    f"{name} {kind}": (name, act)
    for name in ("weights", "optimizer.safetensors", "state.json")
    for kind, act in (("gone", lambda p: p.unlink()), ("cut", truncate), ("altered", flip_a_byte))
}
DAMAGE |= {
    "manifest gone": ("manifest.json", lambda path: path.unlink()),
    "manifest cut": ("manifest.json", lambda path: path.write_text('{"a')),
    "manifest empty": ("manifest.json", lambda path: path.write_text("{}")),
    "manifest a list": ("manifest.json", lambda path: path.write_text("[1]")),
    "manifest of names": ("manifest.json", edit_manifest(dict.fromkeys)),
    "manifest without weights": (
        "manifest.json",
        edit_manifest(lambda m: {k: v for k, v in m.items() if not k.endswith("params")}),
    ),
    "manifest with a file elsewhere": (
        "manifest.json",
        edit_manifest(lambda m: {**m, "../../secret": {"size": 1, "sha256": ""}}),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_and_refused(checkpoints, damage, caplog):
    run = Run(OPTIMIZERS["Momentum"]).train(0, 2)
    for epoch in (1, 2):
        checkpoints.save(epoch, run.parts)
    name, act = DAMAGE[damage]
    act(checkpoints.weights_of(2) if name == "weights" else checkpoints.state_folder_of(2) / name)
    with caplog.at_level(logging.WARNING, "paddlevideo"):
        assert checkpoints.newest_valid() == 1
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith("checkpoint of epoch 2 is passed over: ")
    other = Run(OPTIMIZERS["Momentum"])
    before = model_arrays(other.net)
    with pytest.raises(WeightsError, match="cannot resume after epoch 2: "):
        checkpoints.load(2, other.parts)
    assert all(np.array_equal(before[k], a) for k, a in model_arrays(other.net).items())
    checkpoints.load(1, other.parts)


def test_an_interrupted_save_is_not_used(checkpoints, monkeypatch):
    run = Run(OPTIMIZERS["Momentum"]).train(0, 1)
    checkpoints.save(1, run.parts)

    def stop(*_):
        raise KeyboardInterrupt

    for function in ("write_json", "sha256_of", "write_weights"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"paddlevideo.tasks.checkpoint.{function}", stop)
            checkpoints.save(2, run.parts)
        assert checkpoints.newest_valid() == 1
    checkpoints.save(2, run.parts)
    assert checkpoints.newest_valid() == 2
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("paddlevideo.tasks.checkpoint.write_json", stop)
        checkpoints.save(2, run.parts)  # the same epoch again
    assert checkpoints.newest_valid() == 1
