"""Rows of a pool in the compiled engine: each as if alone, whichever are idle."""

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("paddle2onnx")

from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.streams.pool_batch import PoolBatch, Work
from paddlevideo.runtime.streams.row_groups import RowGroups
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError

ROWS = 6
OPTIONS = EngineOptions(device="cpu", cpu_threads=1, engine="compiled")


@pytest.fixture(scope="module")
def bundle(small_stream):
    return small_stream


@pytest.fixture(scope="module")
def engine(bundle):
    return open_engine(bundle.step_files, OPTIONS)


@pytest.fixture
def frames(bundle):
    shape = bundle.manifest.step.inputs[0].shape[1:]
    return np.random.default_rng(0).integers(0, 256, (16, *shape), np.uint8)


@pytest.fixture
def work_of(engine, monkeypatch):
    """How many streams were computed, and how many tensors copied, since the last call."""
    counts = {"computed": 0, "copied": 0}
    real_run, real_join, real_array = engine.run_tensors, engine.joined_rows, engine.array

    def run(inputs):
        counts["computed"] += next(iter(inputs.values())).shape[0]
        return real_run(inputs)

    def join(tensors):
        counts["copied"] += len(tensors)
        return real_join(tensors)

    def array(tensor):
        counts["copied"] += 1
        return real_array(tensor)

    def take():
        found = (counts["computed"], counts["copied"])
        counts.update(computed=0, copied=0)
        return found

    monkeypatch.setattr(engine, "run_tensors", run)
    monkeypatch.setattr(engine, "joined_rows", join)
    monkeypatch.setattr(engine, "array", array)
    return take


STEPS = st.lists(
    st.tuples(
        st.sets(st.integers(0, ROWS - 1), min_size=1), st.sets(st.integers(0, ROWS - 1)),
        st.integers(1, 3),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=40, deadline=None, database=None)
@given(steps=STEPS)
def test_the_same_bits_whichever_rows_are_idle(bundle, engine, steps):
    """Rows with frames, rows that begin anew, and how often in succession: any."""
    shape = bundle.manifest.step.inputs[0].shape[1:]
    pictures = np.random.default_rng(1).integers(0, 256, (8, *shape), np.uint8)
    groups = RowGroups(StepRunner(bundle, OPTIONS, ROWS, engine), ROWS)
    alone = [StepRunner(bundle, OPTIONS, 1, engine) for _ in range(ROWS)]
    count = 0
    for active, anew, times in steps:
        rows = sorted(active, key=lambda row: (row * 5 + count) % ROWS)
        for time in range(times):
            begin = anew & active if time == 0 else set()
            chosen = [pictures[(row + count) % 8] for row in rows]
            found = groups.step(rows, chosen, begin)
            for row in begin:
                alone[row].reset()
            expected = [
                alone[row].step(frame[None])[0] for row, frame in zip(rows, chosen, strict=True)
            ]
            np.testing.assert_array_equal(found, np.stack(expected))
            count += 1
    of_rows = [sorted(group.rows) for group in groups._groups]
    assert sorted(row for rows in of_rows for row in rows) == list(range(ROWS))
    for group in groups._groups:  # the states of idle rows are theirs too
        states = group.runner.snapshot()
        for place, row in enumerate(group.rows):
            for name, array in alone[row].snapshot().items():
                np.testing.assert_array_equal(states[name][place], array[0])


def test_idle_rows_cost_neither_compute_nor_copies(bundle, engine, frames, work_of):
    """Of a full batch, of one row, of rows that take turns; what comes twice is joined."""
    batch = PoolBatch(StepRunner(bundle, OPTIONS, ROWS, engine), ROWS)
    rows = [batch.take_row() for _ in range(ROWS)]

    def step(*active):
        batch.step([Work(rows[n], frames[n], False) for n in active])
        computed, copied = work_of()
        assert computed == len(active)
        return copied - 1  # the logits

    tensors = sum(len(queue.inputs) for queue in bundle.manifest.step.queues)
    assert [step(*range(ROWS)) for _ in range(3)] == [0, 0, 0]
    assert [step(3) for _ in range(5)] == [0] * 5
    assert [step(n % ROWS) for n in range(12)] == [0] * 12
    # Rows 0 and 5 step alone, then side by side: copied once.
    copies = [step(0, 5) for _ in range(6)]
    assert copies[0] == 1  # two groups, each with logits of its own
    assert copies[1] == 2 * tensors and copies[2:] == [0] * 4


def test_a_step_that_fails_leaves_all_rows_as_they_were(bundle, engine, frames, monkeypatch):
    groups = RowGroups(StepRunner(bundle, OPTIONS, ROWS, engine), ROWS)
    groups.step([0, 1, 2], frames[:3], {0, 1, 2})
    groups.step([1], frames[1:2], set())
    before = [(sorted(g.rows), g.runner.snapshot()) for g in groups._groups]
    real, calls = engine.run_tensors, []

    def second_fails(inputs):
        calls.append(inputs)
        if len(calls) == 2:
            raise BundleError("no more")
        return real(inputs)

    monkeypatch.setattr(engine, "run_tensors", second_fails)
    with pytest.raises(BundleError, match="no more"):
        groups.step([0, 1, 2], frames[3:6], set())
    assert len(calls) == 2
    for (rows, states), group in zip(before, groups._groups, strict=True):
        assert rows == sorted(group.rows)
        for name, array in group.runner.snapshot().items():
            np.testing.assert_array_equal(array, states[name])


def test_a_program_of_a_fixed_batch_is_stepped_as_a_whole(bundle, engine):
    runner = StepRunner(bundle, OPTIONS, 2, engine)
    assert runner.apart() is runner
    fixed = StepRunner(bundle, EngineOptions(device="cpu", engine="onnxruntime"), 2)
    assert fixed.apart() is None
