"""A pool while threads open, close, push and step: no frame, state or result of another stream."""

import threading

import numpy as np
import pytest

from paddlevideo.runtime.streams.pool import StreamPool
from paddlevideo.runtime.streams.session_options import StreamOptions
from paddlevideo.utils.errors import DataError
from runtime.stream_fakes import FakeRunner, grey, view


class WaitingRunner(FakeRunner):
    """Says that a step has begun and waits until it may end."""

    def __init__(self, batch_size):
        super().__init__(batch_size)
        self.begun, self.may_end = threading.Event(), threading.Event()

    def step(self, frames_BCHW):
        self.begun.set()
        assert self.may_end.wait(10)
        return super().step(frames_BCHW)


def make_pool(new_runner, max_streams, threads=1):
    return StreamPool(new_runner, view(), max_streams, threads, StreamOptions(top_k=3))


def seen(stream):
    """(frames, sum of grey levels) that the stream's states hold."""
    states, row = stream.batch.runner.states, stream.row
    return int(states["count"][row]), float(states["sum"][row, 0, 0])


def test_a_stream_that_opens_during_a_step_gets_nothing_of_one_that_closes():
    runners = []

    def new_runner(rows):
        runners.append(WaitingRunner(rows))
        return runners[-1]

    pool = make_pool(new_runner, max_streams=2)
    old, idle = pool.open(), pool.open()
    old.push(grey(200), 0.0)
    answers = []
    stepping = threading.Thread(target=lambda: answers.append(pool.step()))
    stepping.start()
    assert runners[0].begun.wait(10)
    old.close()
    new = pool.open()
    new.push(grey(1), 0.0)
    for runner in runners:
        runner.may_end.set()
    stepping.join(10)
    assert answers == [[]]  # a result of a stream that is closed is nobody's
    assert new.result is None and old.counts.dropped == 1
    for runner in runners:
        runner.may_end.set()
    assert [stream for stream, _ in pool.step()] == [new]
    idle.push(grey(3), 0.0)
    assert [stream for stream, _ in pool.step()] == [idle]
    assert seen(new) == (1, 1.0) and seen(idle) == (1, 3.0)
    pool.close()


def test_a_row_is_taken_again_between_the_choice_of_frames_and_the_batch():
    """The moment at which the runner is not yet asked, but the frames are chosen."""
    pool = make_pool(FakeRunner, max_streams=1)
    old = pool.open()
    old.push(grey(200), 0.0)
    opened = []
    step = old.batch.step

    def change_hands(work):
        old.close()
        opened.append(pool.open())
        opened[0].push(grey(1), 0.0)
        return step(work)

    old.batch.step = change_hands
    assert pool.step() == []
    del old.batch.step
    (new,) = opened
    assert [stream for stream, _ in pool.step()] == [new]
    assert seen(new) == (1, 1.0)
    pool.close()


def test_a_step_that_fails_leaves_the_pool_usable_and_a_new_start_due():
    runners = []

    def new_runner(rows):
        runners.append(FakeRunner(rows))
        return runners[-1]

    pool = make_pool(new_runner, max_streams=1)
    stream = pool.open()
    stream.push(grey(9), 10.0)
    pool.step()
    stream.push(grey(7), 0.0)  # far back: a new start

    def fail(_frames):
        raise DataError("the engine fails")

    runners[0].step = fail
    with pytest.raises(DataError, match="the engine fails"):
        pool.step()
    del runners[0].step
    stream.push(grey(5), 0.2)
    pool.step()
    assert seen(stream) == (1, 5.0) and stream.counts.dropped == 1
    pool.close()


def test_a_pool_that_is_closed():
    pool = make_pool(FakeRunner, max_streams=1)
    stream = pool.open()
    pool.close()
    for use in (pool.open, pool.step):
        with pytest.raises(DataError, match="the pool is closed"):
            use()
    with pytest.raises(DataError, match="the stream is closed"):
        stream.push(grey(1), 0.0)
    pool.close()


def test_two_threads_that_push_to_one_stream_are_told():
    pool = make_pool(FakeRunner, max_streams=1)
    stream = pool.open()
    errors = []

    def push_too():
        try:
            stream.push(grey(1), 0.0)
        except DataError as error:
            errors.append(str(error))

    def frame():
        other = threading.Thread(target=push_too)
        other.start()
        other.join(10)
        return grey(2)

    assert stream.push(frame, 0.0)
    assert len(errors) == 1 and "two threads" in errors[0]
    pool.close()


class IdentityRunner(FakeRunner):
    """Notes where a row that has seen frames of one grey level sees one of another."""

    def __init__(self, batch_size, mixed):
        super().__init__(batch_size)
        self.mixed = mixed

    def step(self, frames_BCHW):
        levels_B = frames_BCHW[:, 0, 0, 0].astype(np.float32)
        counts_B, sums_B = self.states["count"], self.states["sum"][:, 0, 0]
        is_mixed_B = (levels_B > 0) & (sums_B != counts_B * levels_B)
        if is_mixed_B.any():
            self.mixed.append((levels_B[is_mixed_B], sums_B[is_mixed_B]))
        return super().step(frames_BCHW)


@pytest.mark.parametrize("rounds", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_no_state_in_another_stream_ever(rounds):
    """Two threads open, push and close, two step; each stream shows one grey level of its own."""
    mixed, failed, done = [], [], threading.Event()
    pool = make_pool(lambda rows: IdentityRunner(rows, mixed), max_streams=6, threads=2)
    levels = {}

    def live(seed):
        random = np.random.default_rng(seed)
        for _ in range(rounds // 2):
            stream = pool.open()
            levels[stream] = int(random.integers(1, 256))
            for frame in range(int(random.integers(1, 4))):
                stream.push(grey(levels[stream], 8, 8), frame / 5)
            stream.close()

    def step():
        while not done.is_set():
            for stream, result in pool.step():
                # The logits are frames and their sum: at the first frame 1 and the level.
                best = "sum" if levels[stream] > 1 else result.label
                if result.label != best:
                    failed.append((stream, result))

    def guarded(work, *args):
        try:
            work(*args)
        except BaseException as error:
            failed.append(error)
            raise

    steppers = [threading.Thread(target=guarded, args=(step,)) for _ in range(2)]
    lives = [threading.Thread(target=guarded, args=(live, seed)) for seed in range(2)]
    for thread in steppers + lives:
        thread.start()
    for thread in lives:
        thread.join(300)
    done.set()
    for thread in steppers:
        thread.join(10)
    pool.close()
    assert not failed and not mixed
