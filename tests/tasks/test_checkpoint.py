"""Checkpoints: a run goes on as if it had never stopped; a damaged one is never used."""

import contextlib
import json
import logging
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from paddlevideo.solver import build_optimizer
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.tasks.parts import ModelPart, OptimizerPart, optimizer_arrays, optimizer_state_of
from paddlevideo.tasks.position import Position
from paddlevideo.tasks.saved_state import Snapshot, StateFolder
from paddlevideo.tasks.stateful import Stateful
from paddlevideo.utils.errors import NonFiniteError, WeightsError
from paddlevideo.weights import model_arrays
from tasks.old_form import as_old

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
    """Weights and accumulators are equal, bit by bit."""
    for ours, theirs in (
        (model_arrays(one.net), model_arrays(other.net)),
        (optimizer_arrays(one.optimizer, one.net), optimizer_arrays(other.optimizer, other.net)),
    ):
        assert set(ours) == set(theirs)
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    return Checkpoints(tmp_path, "Net")


def save(checkpoints, step, run):
    """Save as the state of ``step``; return it."""
    at = {**run.parts, "position": position_at(step)}
    checkpoints.save(Snapshot.of(step, at))
    return StateFolder(checkpoints.state_folder_of(step), step)


def position_at(step, per_epoch=5):
    position = Position(per_epoch)
    for _ in range(step):
        position.advance()
    return position


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("is_old", [False, True])
def test_goes_on_as_if_it_had_never_stopped(checkpoints, name, is_old):
    through = Run(OPTIMIZERS[name]).train(0, 3)
    state = save(checkpoints, 3, through)
    if is_old:
        as_old(state.folder, 1)
        state = checkpoints.newest_valid()
    resumed = Run(OPTIMIZERS[name], layers_before=2)  # Paddle's generated names differ
    generated = [{p.name for p in run.net.parameters()} for run in (through, resumed)]
    assert not generated[0] & generated[1]
    resumed.train(7, 9)  # whatever was in it is replaced
    checkpoints.load(state, resumed.parts)
    assert_same(resumed, through)
    through.train(3, 6)
    resumed.train(3, 6)
    assert_same(resumed, through)
    assert not np.array_equal(
        model_arrays(through.net)["dense.weight"],
        model_arrays(Run(OPTIMIZERS[name]).net)["dense.weight"],
    )


def test_a_copy_does_not_move_with_the_training(checkpoints):
    """It is written while the training goes on."""
    run = Run(OPTIMIZERS["AdamW"]).train(0, 2)
    snapshot = Snapshot.of(2, run.parts)
    copies = {part: {n: a.copy() for n, a in arrays.items()}
              for part, arrays in snapshot.arrays.items()}  # fmt: skip
    run.train(2, 5)
    for part, arrays in copies.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(snapshot.arrays[part][name], array, err_msg=name)


def test_optimizer_state_has_structural_names():
    run = Run(OPTIMIZERS["AdamW"], layers_before=3).train(0, 1)
    names = set(optimizer_arrays(run.optimizer, run.net))
    trained = {"dense.weight", "dense.bias", "bn.weight", "bn.bias", "dense_1.weight",
               "dense_1.bias"}  # fmt: skip
    assert {name.split("/")[0] for name in names} == trained
    assert {name.split("/")[1] for name in names} == {
        "moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0"
    }  # fmt: skip


def test_master_weights_are_kept():
    """Those of O2: Paddle has them in a mapping of their own, by generated names."""

    class HalfAdam:
        def __init__(self, inner):
            self.inner = inner
            self.masters = {p.name: p.detach().astype("float32") for p in inner._parameter_list}

        def state_dict(self):
            return {**self.inner.state_dict(), "master_weights": self.masters}

    run = Run(OPTIMIZERS["Adam"]).train(0, 1)
    arrays = optimizer_arrays(HalfAdam(run.optimizer), run.net)
    assert {n for n in arrays if n.endswith("/master_weight")} == {
        f"{name}/master_weight" for name, p in run.net.named_parameters() if not p.stop_gradient
    }
    other = Run(OPTIMIZERS["Adam"], layers_before=1)
    state = optimizer_state_of(other.net, arrays, "file")
    masters = state["master_weights"]
    for name, parameter in other.net.named_parameters():
        if not parameter.stop_gradient:
            master = masters[parameter.name]
            assert master.name == f"{parameter.name}_fp32_master_0"
            np.testing.assert_array_equal(master.numpy(), arrays[f"{name}/master_weight"])


def test_state_of_an_unknown_parameter():
    run = Run(OPTIMIZERS["Adam"]).train(0, 1)
    arrays = {**optimizer_arrays(run.optimizer, run.net), "old.weight/moment1_0": np.zeros(1)}
    with pytest.raises(WeightsError, match=r"file: the model has no parameter old.weight"):
        optimizer_state_of(run.net, arrays, "file")


def test_state_of_another_optimizer(checkpoints):
    state = save(checkpoints, 1, Run(OPTIMIZERS["Momentum"]).train(0, 2))
    other = Run(OPTIMIZERS["AdamW"])
    before = model_arrays(other.net)
    with pytest.raises(WeightsError, match=r"another optimizer, Momentum, and OPTIMIZER is AdamW"):
        checkpoints.load(state, other.parts)
    assert all(np.array_equal(before[k], a) for k, a in model_arrays(other.net).items())


@pytest.mark.parametrize("keep", [2, 3])
def test_what_is_written(tmp_path, keep):
    checkpoints = Checkpoints(tmp_path, "Net", keep)
    run = Run(OPTIMIZERS["RMSProp"]).train(0, 1)
    as_old(save(checkpoints, 1, run).folder, 1)
    for step in (5, 9, 10, 100):
        save(checkpoints, step, run)
    checkpoints.save_weights(1, model_arrays(run.net))
    states = {f"Net_step_{step:09d}.state" for step in (5, 9, 10, 100)[-keep:]}
    assert {path.name for path in tmp_path.iterdir()} == states | {"Net_epoch_00001.pdparams"}
    for state in states:
        files = {path.name for path in (tmp_path / state).iterdir()}
        assert files == {
            "model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"
        }  # fmt: skip
    assert checkpoints.newest_valid().title == "step 100"
    assert checkpoints.of_epoch(2).title == "step 10"
    with pytest.raises(WeightsError, match=r"after epoch 1: .* has no state of its end; it has st"):
        checkpoints.of_epoch(1)


@pytest.mark.parametrize("name", ["Net", "a[1]", "x_epoch_7", "ümlaut *"])
def test_names_of_models(tmp_path, name):
    run = Run(OPTIMIZERS["SGD"])
    save(Checkpoints(tmp_path, "Other"), 9, run)
    checkpoints = Checkpoints(tmp_path, name)
    assert checkpoints.newest_valid() is None
    save(checkpoints, 2, run)
    checkpoints.load(checkpoints.newest_valid(), run.parts)


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
        edit_manifest(
            lambda m: {k: v for k, v in m.items() if "model" not in k and "_ep" not in k}
        ),
    ),
    "manifest with a file elsewhere": (
        "manifest.json",
        edit_manifest(lambda m: {**m, "../../secret": {"size": 1, "sha256": ""}}),
    ),
}


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_is_passed_over_and_refused(checkpoints, damage, is_old, caplog):
    run = Run(OPTIMIZERS["Momentum"]).train(0, 2)
    for epoch, step in ((1, 5), (2, 10)):
        folder = save(checkpoints, step, run).folder
        if is_old:
            as_old(folder, epoch)
    first, second = checkpoints.states()
    name, act = DAMAGE[damage]
    act(second.weights if name == "weights" else second.folder / name)
    with caplog.at_level(logging.WARNING, "paddlevideo"):
        assert checkpoints.newest_valid().folder == first.folder
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"checkpoint of {second.title} is passed over: ")
    other = Run(OPTIMIZERS["Momentum"])
    before = model_arrays(other.net)
    with pytest.raises(WeightsError, match=f"cannot resume after {second.title}: "):
        checkpoints.load(second, other.parts)
    assert all(np.array_equal(before[k], a) for k, a in model_arrays(other.net).items())
    checkpoints.load(first, other.parts)


def test_an_interrupted_save_is_not_used(checkpoints, monkeypatch):
    """Wherever it stops; also where it replaces the state of the same step."""
    run = Run(OPTIMIZERS["Momentum"]).train(0, 1)
    save(checkpoints, 1, run)

    def stop(*_):
        raise KeyboardInterrupt

    for function in ("write_json", "sha256_of", "write_weights"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"paddlevideo.tasks.saved_state.{function}", stop)
            save(checkpoints, 2, run)
        assert checkpoints.newest_valid().title == "step 1"
    save(checkpoints, 2, run)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("paddlevideo.tasks.saved_state.write_json", stop)
        save(checkpoints, 2, run)  # the same step again
    assert checkpoints.newest_valid().title == "step 2"


@pytest.mark.parametrize("kill_at", range(3))
def test_killed_while_a_state_is_replaced(checkpoints, monkeypatch, kill_at):
    """One of the two is there after the next start, and nothing else."""
    run = Run(OPTIMIZERS["Momentum"]).train(0, 1)
    save(checkpoints, 1, run)
    rename, calls = Path.rename, []

    def killed(self, target):
        if self.name.endswith((".state", ".tmp")):
            calls.append(self)
            if len(calls) > kill_at:
                raise SystemExit
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        # What a process that is killed does not do.
        patch.setattr("paddlevideo.tasks.saved_state.shutil.rmtree", lambda *_, **__: None)
        with contextlib.suppress(SystemExit):
            save(checkpoints, 1, run)
    checkpoints.sweep()
    assert [path.name for path in checkpoints.folder.iterdir()] == ["Net_step_000000001.state"]
    assert not checkpoints.newest_valid().problem()


def test_what_a_kill_has_left_is_swept(checkpoints, tmp_path):
    run = Run(OPTIMIZERS["SGD"])
    save(checkpoints, 1, run)
    for name in ("Net_step_000000002.state.tmp", ".metrics.jsonl.x.tmp", "Net_best.tmp.pdparams",
                 "Net_best.json", "mine.tmp"):  # fmt: skip
        (tmp_path / name).write_text("x")
    checkpoints.sweep()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"Net_step_000000001.state", "Net_best.json", "mine.tmp"}


def test_nothing_that_is_not_finite_is_written(checkpoints):
    run = Run(OPTIMIZERS["SGD"])
    run.net.dense.weight.set_value(run.net.dense.weight * float("nan"))
    with pytest.raises(NonFiniteError, match=r"dense.weight"):
        save(checkpoints, 1, run)
    with pytest.raises(NonFiniteError, match=r"dense.weight"):
        checkpoints.best.write(model_arrays(run.net), {"top1": 1.0})
    assert not list(checkpoints.folder.iterdir())
