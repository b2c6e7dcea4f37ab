"""Best weights and their score are one, wherever the process that writes them is killed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.metrics import TopKAccuracy
from paddlevideo.tasks.best import BestResult
from paddlevideo.tasks.best_weights import BestWeights
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.weights import read_weights


class Killed(BaseException):
    """The process is gone: what follows is not done."""


class Kill:
    """Ends the process before so many operations on files; none of its cleaning up is done."""

    OPERATIONS = (
        (os, "fsync"), (os, "fdopen"), (Path, "replace"), (Path, "chmod"), (Path, "unlink"),
    )  # fmt: skip

    def __init__(self, patch, after: int) -> None:
        self.left, self.is_dead = after, False
        for owner, name in self.OPERATIONS:
            patch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, operation):
        def call(*arguments, **options):
            if self.left == 0 or self.is_dead:
                self.is_dead = True
                raise Killed
            self.left -= 1
            return operation(*arguments, **options)

        return call


def arrays(value):
    return {"w": np.full(3, value, np.float32)}


def check_pair(folder, *values):
    """Weights and record say the same, one of the values; None: there are no weights yet."""
    best = BestWeights(folder, "Net")
    result = best.read()
    if not best.path.exists():
        assert None in values and result is None
        return
    value = float(read_weights(best.path)["w"][0])
    assert value in values and result == {"top1": value, "epoch": 1.0}


@pytest.mark.parametrize("after", range(16))
def test_killed_at_each_operation(tmp_path, after):
    """Of the first write and of one that replaces another; then it is written again."""
    first, second = ({"top1": value, "epoch": 1.0} for value in (0.25, 0.5))
    for before in (None, 0.25):
        folder = tmp_path / str(before)
        folder.mkdir()
        if before is not None:
            BestWeights(folder, "Net").write(arrays(before), first)
        with pytest.MonkeyPatch.context() as patch:
            kill = Kill(patch, after)
            try:
                BestWeights(folder, "Net").write(arrays(0.5), second)
            except Killed:
                assert kill.is_dead
        check_pair(folder, before, 0.5)
        Checkpoints(folder, "Net").sweep()
        check_pair(folder, before, 0.5)
        assert not list(folder.glob("*tmp*"))
        BestWeights(folder, "Net").write(arrays(0.75), {"top1": 0.75, "epoch": 1.0})
        check_pair(folder, 0.75)


@settings(max_examples=30, deadline=None)
@given(kills=st.lists(st.integers(0, 18), max_size=6))
def test_killed_again_and_again(tmp_path_factory, kills):
    folder = tmp_path_factory.mktemp("best")
    values: list[float | None] = [None]
    for number, after in enumerate(kills):
        value = number / 8
        with pytest.MonkeyPatch.context() as patch:
            Kill(patch, after)
            try:
                BestWeights(folder, "Net").write(arrays(value), {"top1": value, "epoch": 1.0})
            except Killed:
                values.append(value)
            else:
                values = [value]
        check_pair(folder, *values)
    shutil.rmtree(folder)


def test_a_record_of_other_weights_says_nothing(tmp_path, caplog):
    best = BestWeights(tmp_path, "Net")
    best.write(arrays(0.5), {"top1": 0.5})
    other = BestWeights(tmp_path / "other", "Net")
    other.path.parent.mkdir()
    assert best.copy_to(other) and other.read() == {"top1": 0.5}
    best.path.write_bytes(best.path.read_bytes()[:-1] + b"x")
    assert best.read() is None and not best.copy_to(other)
    other.record.write_text("{")
    assert other.read() is None and "cannot be read" in caplog.text


def test_results_before_rounding_began_do_not_come_back():
    """Neither from a state, nor from the record beside the weights."""
    metric, best = TopKAccuracy(), BestResult()
    best.result = {"top1": 0.9, "epoch": 2}
    best.forget(2)
    resumed = BestResult()
    resumed.load_state_dict(best.state_dict(), "state")
    resumed.take_better({"top1": 0.9, "epoch": 2}, metric)
    assert resumed.result == {}
    resumed.take_better({"top1": 0.5, "epoch": 3}, metric)
    assert resumed.result == {"top1": 0.5, "epoch": 3}
    assert BestResult().state_dict() == {}
