"""Many streams: each as if alone, whatever the order; rows anew; drops; both threads."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.runtime.streams.factory import stream_options
from paddlevideo.runtime.streams.pool import StreamPool
from paddlevideo.runtime.streams.session import StreamSession
from paddlevideo.utils.errors import ConfigError, DataError
from runtime.stream_fakes import FakeRunner, grey, view


def make_pool(max_streams=4, threads=2, **options):
    runners = []

    def new_runner(rows):
        runners.append(FakeRunner(rows))
        return runners[-1]

    return StreamPool(new_runner, view(), max_streams, threads, stream_options(options)), runners


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_each_stream_is_as_if_alone(data):
    """Any interleaving of frames, steps, closing and opening gives what sessions give."""
    max_streams = data.draw(st.integers(1, 9))
    options = {"window_seconds": 2.0, "smooth_seconds": 1.0}
    pool, runners = make_pool(max_streams, threads=2, **options)
    alone, clocks, streams = {}, {}, []
    for _ in range(data.draw(st.integers(1, 12))):
        action = data.draw(st.sampled_from(["open", "close", "frames", "frames"]))
        if action == "open" and len(streams) < max_streams:
            streams.append(pool.open())
            alone[streams[-1]] = StreamSession(FakeRunner(), view(), stream_options(options))
            clocks[streams[-1]] = 0.0
        elif action == "close" and streams:
            streams.pop(data.draw(st.integers(0, len(streams) - 1))).close()
        elif action == "frames" and streams:
            chosen = data.draw(st.lists(st.sampled_from(streams), unique=True))
            expected = []
            for stream in chosen:
                level = data.draw(st.integers(0, 255))
                clocks[stream] += data.draw(st.floats(0, 1))
                result = alone[stream].push(grey(level), clocks[stream])
                assert stream.push(grey(level), clocks[stream]) == (result is not None)
                if result is not None:
                    expected.append((stream, result.time_seconds, result.top))
            found = [(s, r.time_seconds, r.top) for s, r in pool.step()]
            assert found == expected  # the order too: the one that waits longest first
    assert sum(runner.batch_size for runner in runners) <= max_streams + 8
    pool.close()


def test_streams_that_step_together_need_no_copies_and_use_both_threads():
    pool, runners = make_pool(max_streams=6, threads=2)
    streams = [pool.open() for _ in range(6)]
    for n in range(20):
        for stream in streams:
            stream.push(grey(n), n / 5)
        assert [s for s, _ in pool.step()] == streams
    assert [runner.batch_size for runner in runners] == [3, 3]
    assert sum(runner.snapshots for runner in runners) == 0
    assert [len(runner.batches) for runner in runners] == [20, 20]
    pool.close()


@pytest.mark.parametrize("threads", [2, 3])
def test_all_threads_go_on_until_no_batch_is_left(threads):
    """Each step of a batch waits until as many are under way as there are threads."""
    meet = threading.Barrier(threads)

    class Waiting(FakeRunner):
        def step(self, frames_BCHW):
            meet.wait(timeout=20)
            return super().step(frames_BCHW)

    batches = 3 * threads
    pool = StreamPool(Waiting, view(), batches, threads, stream_options({}), max_batch_per_thread=1)
    streams = [pool.open() for _ in range(batches)]
    for level, stream in enumerate(streams):
        stream.push(grey(level))
    assert [stream for stream, _ in pool.step()] == streams
    pool.close()


@pytest.mark.parametrize("failing", [{0}, {3}, {1, 4}, {0, 1, 2, 3, 4}])
def test_the_other_batches_are_stepped_whichever_fail(failing):
    made = []

    class Failing(FakeRunner):
        def step(self, frames_BCHW):
            if made.index(self) in failing:
                raise RuntimeError("broken")
            return super().step(frames_BCHW)

    def new(rows):
        made.append(Failing(rows))
        return made[-1]

    pool = StreamPool(new, view(), 5, 2, stream_options({}), max_batch_per_thread=1)
    streams = [pool.open() for _ in range(5)]
    for stream in streams:
        stream.push(grey(3))
    with pytest.raises(RuntimeError, match="broken"):
        pool.step()
    for number, stream in enumerate(streams):
        fails = made.index(stream.batch.runner) in failing
        assert (stream.result is None, stream.counts.dropped) == (fails, int(fails)), number
    pool.close()


def test_two_streams_are_spread_over_both_runners():
    pool, runners = make_pool(max_streams=64, threads=2)
    one, two = pool.open(), pool.open()
    assert one.batch is not two.batch and len(runners) == 2
    pool.close()


def test_a_frame_that_waits_gives_way_to_a_newer_one():
    pool, _ = make_pool()
    stream, other = pool.open(), pool.open()
    stream.push(grey(0), 0.0)
    other.push(grey(9), 0.0)
    for n in range(1, 26):
        stream.push(grey(n), n / 25)
    assert pool.step()[0][0] is other  # waits longer than the newest of the first
    assert pool.step() == []
    assert stream.result.time_seconds == 1.0
    counts = stream.counts
    assert (counts.frames, counts.steps, counts.skipped, counts.dropped) == (26, 1, 20, 5)
    assert counts.mean_latency_ms > 0 and other.counts.dropped == 0
    pool.close()


def test_a_reset_is_not_lost_with_the_frame_it_came_with():
    pool, runners = make_pool(max_streams=1, window_seconds=1.0)
    stream = pool.open()
    for time in (0.0, 0.2):
        stream.push(grey(1), time)
        pool.step()
    stream.push(grey(1), 1.0)
    stream.push(grey(1), 1.2)
    pool.step()
    assert runners[0].seen()[0, 0] == 1
    pool.close()


def test_a_place_that_is_taken_again_begins_from_nothing():
    pool, runners = make_pool(max_streams=1)
    for _ in range(3):
        stream = pool.open()
        with pytest.raises(DataError, match="all 1 streams of the pool are open"):
            pool.open()
        stream.push(grey(5), 0)
        ((_, result),) = pool.step()
        assert runners[0].seen()[0].tolist() == [1, 5, 0] and result.label == "sum"
        stream.push(grey(5), 0.2)
        stream.close()
        stream.close()
        assert pool.step() == [] and stream.counts.dropped == 1
        with pytest.raises(DataError, match="the stream is closed"):
            stream.push(grey(5), 0.4)
    assert len(runners) == 1
    pool.close()


def test_an_engine_that_fails_is_told():
    pool, runners = make_pool()
    stream = pool.open()
    stream.push(grey(1), 0)

    def fail(_frames):
        raise DataError("the engine fails")

    runners[0].step = fail
    with pytest.raises(DataError, match="the engine fails"):
        pool.step()
    pool.close()


@pytest.mark.parametrize("wrong", [{"max_streams": 0}, {"threads": 0}])
def test_sizes_that_cannot_be(wrong):
    with pytest.raises(ConfigError, match="expected a whole number of at least 1"):
        make_pool(**wrong)


def test_the_sum_of_rows_is_enough():
    """18 streams on 2 threads: runners of 8 rows as they are needed."""
    pool, runners = make_pool(max_streams=18, threads=2)
    streams = [pool.open() for _ in range(18)]
    assert [runner.batch_size for runner in runners] == [8, 8, 8]
    for stream in streams:
        stream.push(grey(3), 0)
    assert len(pool.step()) == 18
    np.testing.assert_array_equal(sorted(len(r.batches) for r in runners), [1, 1, 1])
    pool.close()
