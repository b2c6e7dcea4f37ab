"""Rows of a pool in the compiled engine: each as if alone, whichever are idle."""

import numpy as np
import pytest

pytest.importorskip("numba")
pytest.importorskip("paddle2onnx")
pytest.importorskip("onnxruntime")

from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from paddlevideo.runtime.engines import EngineOptions, open_engine
from paddlevideo.runtime.engines.compiled import engine as compiled_engine
from paddlevideo.runtime.engines.compiled.engine import CompiledEngine
from paddlevideo.runtime.engines.compiled.stream_rows import CompiledRows
from paddlevideo.runtime.streams.frame_counters import MOST_FRAMES
from paddlevideo.runtime.streams.pool_batch import PoolBatch, Work
from paddlevideo.runtime.streams.step_runner import StepRunner
from paddlevideo.utils.errors import BundleError, DataError
from runtime.rounded_files import Rounded

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
    """How many streams were computed in how many groups, and how many rows copied, since then."""
    counts = {"computed": 0, "groups": 0, "copied": 0}

    class Counted(CompiledRows):
        def step(self, first, last, turn, frames):
            counts["computed"] += last - first
            counts["groups"] += 1
            return super().step(first, last, turn, frames)

        def swap(self, row, other):
            counts["copied"] += 2
            super().swap(row, other)

        def change_turn(self, row, turn, new_turn):
            counts["copied"] += 1
            super().change_turn(row, turn, new_turn)

    def take():
        found = tuple(counts.values())
        counts.update(computed=0, groups=0, copied=0)
        return found

    monkeypatch.setattr(compiled_engine, "CompiledRows", Counted)
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
    groups = StepRunner(bundle, OPTIONS, ROWS, engine).apart()
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
    assert sorted(groups._rows) == list(range(ROWS))
    for place, row in enumerate(groups._rows):  # the states of idle rows are theirs too
        found = states_at(groups, place, bundle)
        for name, array in alone[row].snapshot().items():
            np.testing.assert_array_equal(found[name], array)


def states_at(groups, place, bundle):
    """The states of one row, by the names of the program's inputs."""
    found = {}
    for queue in bundle.manifest.step.queues:
        view = groups._states._queues[queue.output]
        shape = queue.shape[1:]
        for index, name in enumerate(queue.inputs):
            row = view[(groups._turns[place] + index) % len(view), place].view(queue.dtype)
            if len(shape) == 3:
                row = row.reshape(*shape[1:], shape[0]).transpose(2, 0, 1)
            found[name] = row.reshape(1, *shape).copy()
    return found


def test_idle_rows_cost_neither_compute_nor_copies(bundle, engine, frames, work_of):
    """Of a full batch, of one row, of rows that take turns; what comes twice is joined."""
    batch = PoolBatch(StepRunner(bundle, OPTIONS, ROWS, engine), ROWS)
    rows = [batch.take_row() for _ in range(ROWS)]

    def step(*active):
        batch.step([Work(rows[n], frames[n], False) for n in active])
        computed, groups, copied = work_of()
        assert computed == len(active)
        return groups, copied

    assert [step(*range(ROWS)) for _ in range(3)] == [(1, 0)] * 3
    assert [step(3) for _ in range(5)] == [(1, 0)] * 5
    assert [step(n % ROWS) for n in range(12)] == [(1, 0)] * 12
    # Rows 0 and 5 step alone, then side by side: one of them changes its place with another.
    assert [step(0, 5) for _ in range(6)] == [(2, 0), (1, 2)] + [(1, 0)] * 4
    # Row 3 is five steps ahead of the others.
    assert [step(*range(ROWS)) for _ in range(3)][1:] == [(1, 3), (1, 0)]


def test_a_row_that_begins_anew_joins_the_others_at_once(bundle, engine, frames, work_of):
    batch = PoolBatch(StepRunner(bundle, OPTIONS, ROWS, engine), ROWS)
    rows = [batch.take_row() for _ in range(ROWS)]
    for number in range(3):
        batch.step([Work(row, frames[row], number == 1 and row == 2) for row in rows])
        assert work_of() == (ROWS, 1, 0)


def test_a_step_that_fails_leaves_all_rows_as_they_were(bundle, engine, frames, monkeypatch):
    groups = StepRunner(bundle, OPTIONS, ROWS, engine).apart()
    groups.step([0, 1, 2], frames[:3], {0, 1, 2})
    groups.step([1], frames[1:2], set())
    before = [(row, states_at(groups, place, bundle)) for place, row in enumerate(groups._rows)]
    real, calls = engine._compute, []

    def second_fails(places, batch, frames):
        calls.append(batch)
        if len(calls) == 2:
            raise BundleError("no more")
        real(places, batch, frames)

    monkeypatch.setattr(engine, "_compute", second_fails)
    with pytest.raises(BundleError, match="no more"):
        groups.step([0, 1, 2], frames[3:6], set())
    assert len(calls) == 2
    for place, (row, states) in enumerate(before):
        assert groups._rows[place] == row
        for name, array in states_at(groups, place, bundle).items():
            np.testing.assert_array_equal(array, states[name])


def test_frames_may_lie_anywhere(bundle, engine, frames):
    """Each where its stream has put it, in whatever order of memory; mirrored ones are copied."""
    mirrored = [frames[4], frames[1][:, :, ::-1], frames[9], frames[0], frames[5].copy(), frames[2]]
    found = StepRunner(bundle, OPTIONS, ROWS, engine).apart().step(range(ROWS), mirrored, set())
    expected = StepRunner(bundle, OPTIONS, ROWS, engine).step(np.stack(mirrored))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kernel", [1, 3])
def test_states_that_are_convolved_whole(tmp_path, kernel):
    """What a full convolution reads are planes: such states do not lie in rows."""
    import onnxruntime as ort

    file = Rounded(kernel)
    file.input("x", (3, 6, 6), TensorProto.UINT8)
    file.input("old", (16, 6, 6))
    pixels = file.node("Cast", ["x"], "pixels", to=TensorProto.FLOAT)
    file.constants |= {
        "w": file.rng.standard_normal((16, 3, 3, 3)).astype(np.float32),
        "v": file.rng.standard_normal((16, 16, kernel, kernel)).astype(np.float32) / 16,
    }
    file.node("Conv", [pixels, "w"], "new", pads=[1] * 4)
    file.node("Conv", ["old", "v"], "past", pads=[kernel // 2] * 4)
    file.node("GlobalAveragePool", [file.node("Add", ["new", "past"], "sum")], "y")
    path = file.save(tmp_path / "a.onnx", {"new": (16, 6, 6), "y": (16, 1, 1)})
    engine = CompiledEngine(path, ["new", "y"], OPTIONS)
    rows = engine.stream_rows("x", "y", {"new": ("old",)}, 2)
    assert (rows is None) == (kernel > 1)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    old = np.zeros((2, 16, 6, 6), np.float32)
    for turn in range(3):
        seen = file.rng.integers(0, 256, (2, 3, 6, 6), np.uint8)
        expected = session.run(["y"], {"x": seen, "old": old})[0]
        found = engine.run({"x": seen, "old": old})
        np.testing.assert_allclose(found["y"], expected, rtol=1e-4, atol=1e-3)
        if rows is not None:
            by_row = rows.step(0, 2, turn, seen)
            np.testing.assert_array_equal(by_row, found["y"].reshape(2, 16))
        old = found["new"]


def test_a_program_of_a_fixed_batch_is_stepped_as_a_whole(bundle, engine):
    assert StepRunner(bundle, OPTIONS, 2, engine).apart() is not None
    other = EngineOptions(device="cpu", engine="onnxruntime")
    assert StepRunner(bundle, other, 2).apart() is None


def test_states_go_over_to_rows_that_are_apart(bundle, engine, frames):
    """As where the compiled engine becomes ready while a pool runs."""
    runner, same = (StepRunner(bundle, OPTIONS, 2, engine) for _ in range(2))
    for number in range(3):
        for one in (runner, same):
            one.step(frames[number : number + 2])
    groups = runner.apart()
    found = groups.step([1, 0], frames[5:7], set())
    np.testing.assert_array_equal(found[::-1], same.step(frames[5:7][::-1]))


def test_a_row_ends_with_a_message_when_its_counter_is_full(bundle, engine, frames):
    groups = StepRunner(bundle, OPTIONS, 2, engine).apart()
    groups._counted[1] = MOST_FRAMES
    groups.step([0], frames[:1], set())
    with pytest.raises(DataError, match="begin anew"):
        groups.step([0, 1], frames[:2], set())
    groups.step([0, 1], frames[:2], {1})


@pytest.mark.parametrize("wrong", ["shape", "dtype", "batch"])
def test_frames_that_the_program_does_not_take_are_refused(engine, bundle, frames, wrong):
    states = StepRunner(bundle, OPTIONS, 2, engine).apart()._states
    given = {"shape": frames[:2, :, 1:], "dtype": frames[:2].astype("f"), "batch": frames[:3]}
    with pytest.raises(BundleError, match=r"cannot run on|cannot step 2 rows"):
        states.step(0, 2, 0, given[wrong])
