"""Signals in a training: it is saved, ends with their code, and goes on to the same bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from end_to_end.conftest import NAME, ROOT, metrics, write_config
from end_to_end.test_resume import check_identical
from paddlevideo.apps import training
from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.modeling.device import setup_device
from paddlevideo.tasks.hooks import Hook
from paddlevideo.tasks.train import Trainer

HANDLED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGALRM")


class SignalAt(Hook):
    """Sends this process a signal after a step, in a validation, or in a wait for data."""

    def __init__(self, kind, step, moment) -> None:
        self.number, self.step, self.moment = signal.Signals[kind], step, moment

    def on_step_end(self, training, step):
        if training.position.iterations != self.step:
            return
        if self.moment == "validation":
            self._in_validation(training)
        elif self.moment == "wait":
            self._in_the_next_wait()
        else:
            os.kill(os.getpid(), self.number)

    def _in_validation(self, training):
        read = type(training.metric).update
        hook = self

        class Killing(type(training.metric)):
            def update(self, *arguments):
                os.kill(os.getpid(), hook.number)
                return read(self, *arguments)

        training.metric.__class__ = Killing

    def _in_the_next_wait(self):
        if os.fork() == 0:
            time.sleep(0.7)
            os.kill(os.getppid(), self.number)
            os._exit(0)


@pytest.fixture(scope="module")
def config(tiny, tmp_path_factory):
    content = tiny.config()
    content["DATASET"]["batch_size"] = 2  # three steps an epoch
    content["save_interval"] = 2
    return write_config(tmp_path_factory.mktemp("signals") / "tiny.yaml", content)


@pytest.fixture(scope="module")
def in_one_go(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    recipe = open_recipe(config, [f"output_dir={folder}"])
    setup_device(recipe.device, recipe.num_threads)
    Trainer(recipe, open_model(recipe, None), validate=True).run()
    return folder


@pytest.fixture(autouse=True)
def handlers_are_put_back():
    before = [signal.getsignal(signal.Signals[name]) for name in HANDLED]
    yield
    assert [signal.getsignal(signal.Signals[name]) for name in HANDLED] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.fixture
def signalled(main_here, monkeypatch):
    """``main.py`` with a signal: ``signalled(kind, step, moment, *arguments)``."""

    def call(kind, step, moment, *arguments):
        def trainer(*given, hooks, **named):
            return Trainer(*given, hooks=[*hooks, SignalAt(kind, step, moment)], **named)

        with monkeypatch.context() as patch:
            patch.setattr(training, "Trainer", trainer)
            return main_here(*arguments)

    return call


@pytest.mark.parametrize(
    ("kind", "code", "step", "moment"),
    [
        ("SIGTERM", 143, 4, "step"),
        ("SIGINT", 130, 3, "step"),  # the last of an epoch
        ("SIGUSR1", 0, 4, "step"),
        ("SIGHUP", 129, 2, "validation"),
    ],
)
def test_it_goes_on_to_the_bit(
    kind, code, step, moment, in_one_go, signalled, main_here, config, tmp_path
):
    options = ("--validate", "-c", config, "-o", "output_dir=parts")
    done = signalled(kind, step, moment, *options)
    assert done.code == code, done.stderr
    assert "error" not in done.stderr and "Traceback" not in done.stderr
    if code:
        assert f"stopped by {kind}" in done.stderr and "training finished" not in done.stderr
        assert ("validation was broken off" in done.stderr) == (moment == "validation")
        done = main_here(*options, "-o", "resume_epoch=latest")
        assert done.code == 0 and "resumed" in done.stderr, done.stderr
    check_identical(tmp_path / "parts", in_one_go)
    check_identical(tmp_path / "parts", in_one_go, f"{NAME}_best.pdparams")
    for line in ("train_epoch", "valid"):
        ours, whole = (metrics(folder, line) for folder in (tmp_path / "parts", in_one_go))
        for one, other in zip(ours, whole, strict=True):
            assert all(one.get(name) == other.get(name) for name in ("epoch", "loss", "top1"))


def test_with_accumulation_the_group_ends_first(signalled, config, tmp_path):
    options = ("-c", config, "-o", "output_dir=run", "-o", "DATASET.batch_size=1",
               "-o", "GRADIENT_ACCUMULATION={global_batch_size: 3}")  # fmt: skip
    done = signalled("SIGTERM", 4, "step", *options)
    assert done.code == 143 and "stopped after step 6 of 7 of epoch 1" in done.stderr, done.stderr


@pytest.mark.parametrize(("group", "saved"), [(1, True), (2, False)])
def test_a_wait_for_data_that_hangs(group, saved, signalled, tiny, tmp_path):
    """One of six samples is a folder of pipes that nobody writes to."""
    (tmp_path / "hang").mkdir()
    for number in range(1, 7):
        os.mkfifo(tmp_path / "hang" / f"img_{number:05}.jpg")
    lines = (tiny.root / "train.frames.list").read_text().splitlines()
    good = [f"{tiny.root}/{line}\n" for line in lines[:5]]
    (tmp_path / "l.list").write_text("".join([*good, f"{tmp_path}/hang 6 0\n"]))
    content = tiny.config("FrameDataset", epochs=4)
    content["DATASET"] |= {"batch_size": 1, "num_workers": 1}
    content["DATASET"]["train"] = {"format": "FrameDataset", "file_path": str(tmp_path / "l.list")}
    if group > 1:
        content["GRADIENT_ACCUMULATION"] = {"global_batch_size": 6}
    path = write_config(tmp_path / "hang.yaml", content)
    begun = time.monotonic()
    done = signalled("SIGTERM", 1, "wait", "-c", path, "-o", "output_dir=run")
    assert done.code == 143 and time.monotonic() - begun < 30, done.stderr
    assert ("not saved: data did not come" in done.stderr) == (not saved)
    assert bool(list((tmp_path / "run").glob("*.state"))) == saved


def started(config, cwd, *options, command=("main.py",)):
    return subprocess.Popen(
        [sys.executable, *map(str, command), "-c", str(config), "--validate", *options],
        cwd=cwd, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def wait_for(condition, process=None, seconds=120):
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends and (process is None or process.poll() is None)
        time.sleep(0.02)


def said(file: Path, text: str):
    return lambda: file.is_file() and text in file.read_text()


def test_a_second_interrupt_ends_at_once(config, tmp_path):
    """The first waits for the end of a group."""
    content = config.read_text().replace("batch_size: 2", "batch_size: 1", 1)
    config = tmp_path / "group.yaml"
    config.write_text(content + "GRADIENT_ACCUMULATION: {global_batch_size: 7}\n")
    options = ("-o", "output_dir=run", "-o", "epochs=10000", "-o", "log_interval=1")
    with started(config, tmp_path, *options, command=(ROOT / "main.py",)) as process:
        wait_for(said(tmp_path / "run" / "run.log", "train step:1 "), process)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert "Traceback" not in process.stderr.read()
