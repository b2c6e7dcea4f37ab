"""What goes wrong around a session leaves it as it was: frames, threads, snapshots, options."""

import threading

import numpy as np
import pytest

from paddlevideo.runtime.streams.factory import stream_options
from paddlevideo.runtime.streams.pool import StreamPool
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.utils.errors import ConfigError, DataError
from runtime.stream_fakes import FakeRunner, grey, view

OPTIONS = {"window_seconds": 3.0, "reset_on_cut": True, "smooth_seconds": 1.0}


def session(runner=None, **options):
    return StreamSession(runner or FakeRunner(), view(), stream_options(options))


def streamed():
    """A session that has seen three frames."""
    stream = session(**OPTIONS)
    for n in range(3):
        stream.push(grey(10 * n), n / 5)
    return stream


def assert_same(one, other):
    assert set(one) == set(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])
        assert array.dtype == other[name].dtype, name


def fails():
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    "bad", [fails, lambda: None, lambda: np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)]
)
def test_a_frame_that_fails_is_as_if_it_had_not_come(bad):
    stream = streamed()
    before, counts = stream.snapshot(), stream.counts.as_dict()
    with pytest.raises((OSError, DataError)):
        stream.push(bad, 0.6)
    assert_same(stream.snapshot(), before)
    assert stream.counts.as_dict() == counts
    assert stream.push(grey(30), 0.6) is not None  # its tick is still free


def test_a_step_that_fails_leaves_its_tick_and_its_new_start():
    runner = FakeRunner()
    stream = session(runner, window_seconds=0.5)
    for n in range(3):
        stream.push(grey(1), n / 5)
    step = runner.step

    def fail(_frames):
        raise DataError("the engine fails")

    runner.step = fail
    with pytest.raises(DataError, match="the engine fails"):
        stream.push(grey(1), 0.6)
    runner.step = step
    assert stream.push(grey(1), 0.6) is not None
    assert runner.states["count"].tolist() == [1] and stream.counts.resets == 1


def test_a_frame_of_a_pool_that_fails_leaves_its_tick():
    pool = StreamPool(FakeRunner, view(), 1, 1, stream_options({}))
    stream = pool.open()
    with pytest.raises(OSError, match="disk"):
        stream.push(fails, 0.0)
    assert stream.push(grey(1), 0.0)
    pool.close()


@pytest.mark.parametrize("frame", [grey(5)[::-1, ::-1], grey(5)[:, :, ::-1], grey(5)[::2, ::3]])
def test_frames_of_any_strides(frame):
    stream = session(reset_on_cut=True)
    assert stream.push(frame, 0.0) is not None


@pytest.mark.parametrize(
    "time", [float("nan"), float("inf"), "soon", "1.0", [1.0], np.zeros(2), object(), 10**400]
)
def test_times_that_are_none(time):
    stream = streamed()
    before = stream.snapshot()
    with pytest.raises(DataError, match="timestamp"):
        stream.push(grey(1), time)
    assert_same(stream.snapshot(), before)


@pytest.mark.parametrize("use", ["push", "reset", "snapshot", "restore"])
def test_a_session_is_for_one_thread(use):
    stream, errors = session(), []
    snapshot = stream.snapshot()
    calls = {
        "push": lambda: stream.push(grey(1), 0.2),
        "reset": stream.reset,
        "snapshot": stream.snapshot,
        "restore": lambda: stream.restore(snapshot),
    }

    def intrude():
        try:
            calls[use]()
        except DataError as error:
            errors.append(str(error))

    def frame():
        other = threading.Thread(target=intrude)
        other.start()
        other.join(10)
        return grey(2)

    assert stream.push(frame, 0.0) is not None
    assert len(errors) == 1 and "for one thread" in errors[0]
    assert stream.push(grey(2), 0.2) is not None


def mutated(snapshot, random):
    """The snapshot with one array dropped, of another shape, dtype or values; or one more."""
    name = sorted(snapshot)[random.integers(len(snapshot))]
    array = snapshot[name]
    changes = [
        lambda: array.astype(np.complex64),
        lambda: array.astype("S4"),
        lambda: np.array([object()]),
        lambda: array[None],
        lambda: np.zeros([*array.shape, 2], array.dtype),
        lambda: np.array("text"),
        lambda: np.full(array.shape, np.nan, array.dtype if array.dtype.kind == "f" else "f4"),
        lambda: np.full(array.shape, np.inf, array.dtype if array.dtype.kind == "f" else "f4"),
        lambda: array.astype(np.int64 if array.dtype != np.int64 else np.int8),
    ]
    kind = random.integers(len(changes) + 2)
    if kind == len(changes):
        return {**snapshot, f"{name}_more": array}
    if kind == len(changes) + 1:
        needed = {"states/count", "states/sum", "stream/clock", "stream/smooth_mean"}
        dropped = name if name in needed else "stream/clock"
        return {n: a for n, a in snapshot.items() if n != dropped}
    return {**snapshot, name: changes[kind]()}


@pytest.mark.parametrize("seed", range(4))
def test_bad_snapshots_change_nothing(seed):
    random = np.random.default_rng(seed)
    stream = streamed()
    good = stream.snapshot()
    for _ in range(100):
        with pytest.raises(DataError):
            stream.restore(mutated(good, random))
        assert_same(stream.snapshot(), good)
    assert stream.push(grey(1), 0.6) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"stream/clock": np.array([0.0, 0.4, 1e9])},  # it would never take a frame again
        {"stream/clock": np.array([0.0, 0.4, 1.5])},
        {"stream/clock": np.array([5.0, 0.4, 2.0])},
        {"stream/smooth_mean": np.zeros(7)},
        {"stream/smooth_mean": np.full(3, 2.0)},
        {"stream/window_start": np.array(1e9)},
        {"states/count": np.array([-1], np.int32)},
    ],
)
def test_snapshots_whose_values_cannot_be(change):
    stream = streamed()
    good = stream.snapshot()
    with pytest.raises(DataError, match="snapshot"):
        stream.restore({**good, **change})
    assert_same(stream.snapshot(), good)


def test_what_is_no_snapshot(tmp_path):
    stream = streamed()
    for wrong in (None, [1], {1: np.zeros(1)}, {}):
        with pytest.raises(DataError, match="snapshot"):
            stream.restore(wrong)
    np.savez(tmp_path / "s.npz", **{**stream.snapshot(), "stream/clock": np.array([object()])})
    with np.load(tmp_path / "s.npz") as loaded, pytest.raises(DataError, match="cannot be read"):
        stream.restore(loaded)


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": "5"},
        {"top_k": 2.5},
        {"top_k": True},
        {"window_seconds": "1"},
        {"smooth_seconds": [1]},
        {"smooth_seconds": float("nan")},
        {"cut_threshold": None},
        {"cut_threshold": float("nan")},
        {"reset_on_cut": "no"},
    ],
)
def test_options_of_another_type(options):
    with pytest.raises(ConfigError, match=next(iter(options)).partition("_")[0]):
        stream_options(options)


@pytest.mark.parametrize("sizes", [("4", 1), (4, 1.5), (None, 1), (4, "2")])
def test_sizes_of_a_pool_of_another_type(sizes):
    with pytest.raises(ConfigError, match="expected a whole number"):
        StreamPool(FakeRunner, view(), *sizes, stream_options({}))
