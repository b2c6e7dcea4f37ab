"""A folder holds one run: what is refused, what goes on, and what is kept of its metrics."""

import contextlib
import json
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import yaml
from child_processes import killed_at_the_end

from end_to_end.conftest import NAME, ROOT, metrics, run, write_config
from end_to_end.test_parts_and_hooks import Writer, state_name, train
from end_to_end.test_resume import check_identical
from paddlevideo.tasks import saved_state
from paddlevideo.tasks.run_identity import read_record
from paddlevideo.utils.errors import ConfigError, NonFiniteError, SaveError, WeightsError
from paddlevideo.weights import read_weights

TIMES = {
    "time", "run", "seconds", "batch_seconds", "reader_seconds", "samples_per_second",
    "data_share", "compute_share", "memory_mb", "seconds_left",
}  # fmt: skip


@pytest.fixture
def config(tiny, tmp_path):
    """Three steps an epoch, with dropout and stochastic depth."""
    content = tiny.config()
    content["DATASET"]["batch_size"] = 2
    content["MODEL"]["backbone"]["stochastic_depth"] = 0.2
    return write_config(tmp_path / "tiny.yaml", content)


def lines_of(folder):
    """Everything that was recorded of the steps, without times."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [
        {key: value for key, value in line.items() if key not in TIMES}
        for line in lines
        if line["kind"] not in ("start", "resume")
    ]


def check_same_run(folder, whole):
    """Weights, best weights with their score, and metrics are those of the run left alone."""
    for path in whole.glob(f"{NAME}_*.pdparams"):
        check_identical(folder, whole, path.name)
    best = [json.loads((f / f"{NAME}_best.json").read_text()) for f in (folder, whole)]
    assert best[0]["entries"][0]["result"] == best[1]["entries"][0]["result"]
    assert lines_of(folder) == lines_of(whole)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert len({json.loads(line)["run"] for line in lines}) == 1


@pytest.mark.parametrize("num_workers", [0, 2])
def test_stopped_after_every_step(config, tmp_path, num_workers):
    """Exactly the same in the end, with dropout, and without a step that is recorded twice."""
    whole = train(config, tmp_path / "whole").folder
    workers = {"DATASET.num_workers": num_workers}
    for step in range(1, 7):
        train(config, tmp_path / "parts", Writer(stop_at=step), resume="auto", **workers)
    trainer = train(config, tmp_path / "parts", resume="auto", **workers)  # nothing is left to do
    assert trainer.position.iterations == 6
    check_same_run(tmp_path / "parts", whole)
    steps = [line["iterations"] for line in metrics(tmp_path / "parts", "train")]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize("often", ["{steps: 2}", "{epochs: 2}", "{minutes: 0.00001}"])
def test_save_every(config, tmp_path, often, monkeypatch):
    written = []
    write = saved_state.StateFolder.write

    def noted(self, snapshot):
        written.append(snapshot.iterations)
        write(self, snapshot)

    monkeypatch.setattr(saved_state.StateFolder, "write", noted)
    train(
        config, tmp_path / "run", save_every=often, save_interval=2, val_interval=9, keep_states=3
    )
    expected = {"steps": [2, 4, 6], "epochs": [6], "minutes": [1, 2, 3, 4, 5, 6]}
    steps = expected[often.strip("{").partition(":")[0]]
    assert sorted(set(written)) == steps
    states = sorted(path.name for path in (tmp_path / "run").glob("*.state"))
    assert states == [state_name(step) for step in steps[-3:]]
    with pytest.raises(ConfigError, match="save_every: give one of steps, minutes and epochs"):
        train(config, tmp_path / "other", save_every="{steps: 2, epochs: 1}")
    with pytest.raises(ConfigError, match="keep_states"):
        train(config, tmp_path / "other", keep_states=1)


def test_another_run_is_not_mixed_with(config, tmp_path, caplog):
    folder = train(config, tmp_path / "run").folder
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    first = read_record(folder).run
    with pytest.raises(
        ConfigError, match=r"holds run \w+ of .*--resume auto.*--overwrite.*output_"
    ):
        train(config, folder, seed=5)
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "run.lock"}
    assert all(before[path] == content for path, content in after.items())
    (folder / "notes.txt").write_text("mine")
    with caplog.at_level(logging.INFO, "paddlevideo"):
        train(config, folder, seed=5, epochs=1, overwrite=True)
    assert "is removed" in caplog.text and (folder / "notes.txt").read_text() == "mine"
    assert read_record(folder).run != first
    assert not (folder / f"{NAME}_epoch_00002.pdparams").exists()
    assert {line["epoch"] for line in metrics(folder, "train_epoch")} == {1}
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert saved["seed"] == 5 and not saved["overwrite"]
    with pytest.raises(ConfigError, match="overwrite begins anew, and resume"):
        train(config, folder, overwrite=True, resume="auto")


def test_a_run_that_saved_nothing_is_no_run(config, tmp_path):
    hook = Writer()
    hook.on_step_end = lambda training, step: 1 / 0
    with pytest.raises(ZeroDivisionError):
        train(config, tmp_path / "run", hook)
    assert metrics(tmp_path / "run", "start")
    train(config, tmp_path / "run", epochs=1)
    assert len(metrics(tmp_path / "run", "start")) == 1


def test_a_restart_leaves_a_better_best(config, tmp_path):
    """Killed after a validation and before the next state: the score is in the weights' record."""
    hook = Writer()
    hook.on_epoch_end = lambda training: 1 / (training.position.epoch < 2)
    folder = tmp_path / "run"
    with pytest.raises(ZeroDivisionError):
        train(config, folder, hook)
    record = folder / f"{NAME}_best.json"
    content = json.loads(record.read_text())
    content["entries"][0]["result"]["top1"] = 1.0
    record.write_text(json.dumps(content))
    best = (folder / f"{NAME}_best.pdparams").read_bytes()
    trainer = train(config, folder, resume="auto")
    assert trainer.best.result["top1"] == 1.0
    assert (folder / f"{NAME}_best.pdparams").read_bytes() == best


def test_a_validation_that_fails_costs_no_epoch(config, tmp_path):
    """The state is saved before it; the resumed run validates first."""
    hook = Writer()

    def fail(training, result):
        raise ZeroDivisionError

    hook.on_validation_end = fail
    with pytest.raises(ZeroDivisionError):
        train(config, tmp_path / "parts", hook)
    trainer = train(config, tmp_path / "parts", resume="auto")
    assert trainer.resumed
    check_same_run(tmp_path / "parts", train(config, tmp_path / "whole").folder)


def test_resumed_at_an_earlier_epoch(config, tmp_path, caplog):
    """Later states are of steps that are taken again: they go, and so do their lines."""
    whole = train(config, tmp_path / "whole", keep_states=5).folder
    with caplog.at_level(logging.INFO, "paddlevideo"):
        train(config, whole, Writer(stop_at=4), resume_epoch=1, keep_states=5)
    assert "the state of step 6 is dropped" in caplog.text
    assert [line["iterations"] for line in metrics(whole, "train")][-1] == 4
    trainer = train(config, whole, resume=whole / state_name(4))
    assert trainer.position.iterations == 6
    with pytest.raises(WeightsError, match="has no state of its end; it has step"):
        train(config, whole, resume_epoch=7)


def test_another_folder_goes_on_from_a_state(config, tmp_path):
    whole = train(config, tmp_path / "whole").folder
    first = train(config, tmp_path / "first", epochs=1).folder
    for number, path in enumerate((first, first / state_name(3))):
        folder = train(config, tmp_path / f"second{number}", resume=path).folder
        check_identical(folder, whole)
        check_identical(folder, whole, f"{NAME}_best.pdparams")
        record = read_record(folder)
        assert record.run != read_record(first).run
        assert record.continues == str(first / state_name(3))
    with pytest.raises(ConfigError, match="holds run"):
        train(config, tmp_path / "second0", resume=first)
    with pytest.raises(WeightsError, match=r"cannot resume from .*none: no such folder"):
        train(config, tmp_path / "third", resume=tmp_path / "none")
    with pytest.raises(WeightsError, match="neither a state nor a run's folder"):
        train(config, tmp_path / "third", resume=tmp_path)


def test_differences_are_told_one_by_one(config, tmp_path, caplog, tiny):
    folder = train(config, tmp_path / "run", epochs=1).folder
    with caplog.at_level(logging.INFO, "paddlevideo"):
        train(config, folder, resume="auto", log_interval=3, **{"DATASET.num_workers": 1})
    assert "resume: log_interval: 1 in the state, 3 now\n" in caplog.text
    assert "resume: epochs: 1 in the state, 2 now\n" in caplog.text
    changed = {"seed": 5, "OPTIMIZER.learning_rate.cosine_base_lr": 0.5}
    with pytest.raises(WeightsError) as caught:
        train(config, folder, resume="auto", epochs=3, **changed)
    message = str(caught.value)
    assert "seed: 0 in the state, 5 now" in message and "--resume-anyway" in message
    assert "OPTIMIZER.learning_rate.cosine_base_lr: 0.004 in the state, 0.5 now" in message
    assert "epochs" not in message
    trainer = train(config, folder, resume="auto", epochs=3, resume_anyway=True, **changed)
    assert trainer.position.epoch == 3
    fewer = tmp_path / "fewer.list"
    lines = (tiny.root / "train.list").read_text().splitlines()
    fewer.write_text("\n".join([*lines[:-1], lines[0]]) + "\n")
    with pytest.raises(WeightsError, match=r"the training samples .* are not those of the state"):
        train(config, folder, resume="auto", epochs=4, **changed,
              **{"DATASET.train.file_path": fewer})  # fmt: skip


def test_states_that_cannot_be_used_are_not_begun_over(config, tmp_path):
    folder = train(config, tmp_path / "run").folder
    for state in folder.glob("*.state"):
        (state / "manifest.json").unlink()
    with pytest.raises(WeightsError, match="none of its states can be used"):
        train(config, folder, resume="auto")


def test_one_process_at_a_time(config, tmp_path):
    """A second one is refused with one message; the lock goes with its process."""
    (tmp_path / "run").mkdir()
    script = (
        "import sys, time, pathlib; from paddlevideo.tasks.run_identity import lock_of\n"
        "with lock_of(pathlib.Path('run')):\n    print('held', flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True,
    ) as holder, killed_at_the_end(holder):  # fmt: skip
        assert holder.stdout.readline() == "held\n"
        done = run("main.py", "-c", config, "-o", "output_dir=run", cwd=tmp_path)
        assert f"process {holder.pid} on " in done.error()
        assert "is training in this folder" in done.error()
        with pytest.raises(ConfigError, match=f"process {holder.pid} on "):
            train(config, tmp_path / "run")
        holder.kill()
    train(config, tmp_path / "run", epochs=1)


class Disk:
    """Refuses to take a state, as often as it is told to."""

    def __init__(self, monkeypatch, refusals):
        self.left, self.fill = refusals, saved_state.StateFolder._fill
        monkeypatch.setattr(saved_state.StateFolder, "_fill", self.full)

    def full(self, folder, snapshot):
        if self.left:
            self.left -= 1
            (folder / "model.safetensors").write_bytes(b"half")
            raise OSError(28, "No space left on device", str(folder / "model.safetensors"))
        self.fill(folder, snapshot)


def test_a_full_disk(config, tmp_path, monkeypatch, caplog):
    """Two failures are warnings, the third ends the run with one message; nothing half stays."""
    Disk(monkeypatch, 2)
    folder = train(config, tmp_path / "some", save_every="{steps: 1}").folder
    assert caplog.text.count("model.safetensors: No space left on device; training goes on") == 2
    assert not list(folder.glob("*.tmp"))
    Disk(monkeypatch, 3)
    with pytest.raises(SaveError, match=r"No space left on device; 3 saves in a row have failed"):
        train(config, tmp_path / "many", save_every="{steps: 1}")
    assert not list((tmp_path / "many").glob("*.state*"))
    trainer = train(config, tmp_path / "many", resume="auto")
    assert trainer.position.iterations == 6


def test_the_last_save_must_not_fail(config, tmp_path, monkeypatch):
    Disk(monkeypatch, 2)  # before and after the validation
    with pytest.raises(SaveError, match="it was the last save of the run"):
        train(config, tmp_path / "run", epochs=1, save_every="{steps: 99}", val_interval=9)


def test_a_diverged_state_is_not_written(config, tmp_path):
    hook = Writer(save_at=2)

    def spoil(training, step):
        if training.position.iterations == 2:
            weight = next(iter(training.model.parameters()))
            weight.set_value(weight * float("inf"))
            training.ask_to_save()

    hook.on_step_end = spoil
    with pytest.raises(NonFiniteError, match="not finite: epoch 1, step 1"):
        train(config, tmp_path / "run", hook)
    assert not list((tmp_path / "run").glob("*.state*"))


class Other(Writer):
    """Validates with weights of its own."""

    @contextlib.contextmanager
    def evaluation_weights(self, training):
        name, parameter = next(iter(training.model.named_parameters()))
        self.name, before = name, parameter.numpy().copy()
        parameter.set_value(np.full_like(before, 0.25))
        yield
        parameter.set_value(before)


def test_weights_that_are_validated_are_the_best_ones(config, tmp_path):
    hook = Other()
    folder = train(config, tmp_path / "run", hook).folder
    best = read_weights(folder / f"{NAME}_best.pdparams")[hook.name]
    assert (best == 0.25).all()
    assert not (read_weights(folder / f"{NAME}_epoch_00002.pdparams")[hook.name] == 0.25).any()
