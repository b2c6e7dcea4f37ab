"""The length of a run, the time that is left of it, and the bar that shows both."""

import io
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.metrics import TopKAccuracy
from paddlevideo.tasks import time_left, writers
from paddlevideo.tasks.hooks import Event
from paddlevideo.tasks.position import Position
from paddlevideo.tasks.run_length import RunLength
from paddlevideo.tasks.time_left import TimeLeft
from paddlevideo.utils.run_bar import RunBar, clock


def walk(length: RunLength):
    """What the loop does, one thing after another: the number of steps, or ``valid``."""
    steps = 0
    for epoch in range(1, length.epochs + 1):
        for _ in range(length.steps_per_epoch):
            if steps == length.steps:
                return
            steps += 1
            yield steps
            if steps == length.steps:
                break
        is_last = steps == length.steps
        if length.validation_batches and (is_last or epoch % length.val_interval == 0):
            yield "valid"


@given(
    st.integers(1, 5), st.integers(1, 6), st.none() | st.integers(1, 40), st.integers(1, 4),
    st.integers(0, 3),
)  # fmt: skip
def test_a_length_is_what_the_loop_does(steps, epochs, most, interval, batches):
    length = RunLength(steps, epochs, most, interval, batches)
    done = list(walk(length))
    assert length.steps == max(s for s in done if s != "valid")
    assert length.validations == done.count("valid")
    assert length.batches == length.steps + batches * length.validations
    for place, what in enumerate(done):
        ends = place + 1 == len(done) or done[place + 1] != "valid"
        if what != "valid" and ends:  # no validation is under way
            assert length.validations_done(what) == done[:place].count("valid")


class Loop:
    """Calls a hook as the loop does, by a clock that it moves itself."""

    def __init__(self, length: RunLength, monkeypatch):
        self.now, self.length = 100.0, length
        monkeypatch.setattr(time_left.time, "monotonic", lambda: self.now)
        self.position = Position(length.steps_per_epoch)
        self.metric = TopKAccuracy()
        self.recipe = SimpleNamespace(epochs=length.epochs)

    def run(self, hooks, step_seconds, batch_seconds, seen):
        for hook in hooks:
            hook.on_train_start(self)
            hook.on_epoch_start(self)
        for what in walk(self.length):
            if what == "valid":
                for hook in hooks:
                    hook.on_epoch_end(self)
                for _ in range(self.length.validation_batches):
                    self.now += batch_seconds
                    for hook in hooks:
                        hook.on_validation_batch(self)
                    seen("valid")
                for hook in hooks:
                    hook.on_validation_end(self, {})
                    hook.on_epoch_start(self)
            else:
                self.now += 50.0 if what == 1 else step_seconds  # the first one compiles
                self.position.advance()
                for hook in hooks:
                    hook.on_step_end(self, None)
                seen(what)


def test_the_time_left_counts_validations_by_those_that_were(monkeypatch):
    loop = Loop(RunLength(4, 3, None, 1, 5), monkeypatch)
    left, ends = TimeLeft(loop.length), []
    loop.run(
        [left], 2.0, 0.7, lambda _: ends.append((loop.now, left.seconds(loop.position.iterations)))
    )
    total = 50.0 + 11 * 2.0 + 3 * 5 * 0.7
    assert ends[0][1] == pytest.approx(11 * 50.0 + 3 * 5 * 25.0)  # all that is known by then
    assert ends[1][1] == pytest.approx(10 * 2.0 + 3 * 5 * 1.0)
    for now, seconds in ends[9:]:  # from the second epoch on, within validations too
        assert seconds == pytest.approx(100.0 + total - now, abs=1e-6)


def test_a_resumed_run_leaves_out_the_validations_that_were(monkeypatch):
    loop = Loop(RunLength(4, 3, None, 1, 5), monkeypatch)
    loop.position.epoch, loop.position.iterations = 2, 8
    left = TimeLeft(loop.length)
    left.on_train_start(loop)
    left.on_epoch_start(loop)
    for _ in range(2):
        loop.now += 2.0
        left.on_step_end(loop, None)
    assert left.seconds(10) == pytest.approx(2 * 2.0 + 1 * 5 * 1.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_is_over_the_whole_run(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(RunBar, "monitor_interval", 0)
    loop = Loop(RunLength(2, 2, None, 1, 3), monkeypatch)
    left = TimeLeft(loop.length)
    bar = writers.ProgressBar(left)
    counted = []

    def seen(what):
        counted.append(bar.bar.n)
        bar.on_event(Event("train", {"loss": 1.5, "top1": 0.25, "lr": 0.1}))
        bar.on_event(Event("valid", {"headline": "top1", "top1": 0.5}))
        bar.bar.refresh()

    loop.run([left, bar], 2.0, 1.0, seen)
    assert counted == list(range(1, 11))
    bar.on_train_end(loop)
    text = screen.getvalue()
    assert "epoch 1/2: " in text and "validation 1: " in text and "epoch 2/2: " in text
    assert "validation 2: 100%|" in text and "| 10/10 [" in text
    assert "<0:00:00, loss 1.5, top1 0.25, valid top1 0.5]" in text


def test_no_bar_off_a_terminal(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    loop = Loop(RunLength(2, 1, None, 1, 1), monkeypatch)
    bar = writers.ProgressBar(TimeLeft(loop.length))
    loop.run([bar], 1.0, 1.0, lambda _: None)
    bar.on_train_end(loop)
    assert screen.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (-3, "0:00:00"), (59.9, "0:00:59"), (360001, "100:00:01")]
)
def test_a_clock(seconds, text):
    assert clock(seconds) == text
