"""Sampling by time: the formula, VFR, gaps, steps back, and that a snapshot goes on alike."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paddlevideo.runtime.streams.frame_clock import FrameClock
from paddlevideo.runtime.streams.smoothing import Smoother
from paddlevideo.utils.errors import ConfigError, DataError


def taken(times, rate=5.0):
    clock = FrameClock(rate)
    return [time for time in times if clock.take(time) is not None]


@pytest.mark.parametrize("source_rate", [5, 10, 24, 25, 29.97, 30, 60])
def test_as_many_frames_as_the_model_wants_whatever_the_source(source_rate):
    """No drift in an hour: a tick is never more than one source frame late."""
    times = [n / source_rate for n in range(int(3600 * source_rate))]
    chosen = taken(times)
    assert len(chosen) == 18000
    late = np.array(chosen) - np.arange(len(chosen)) / 5
    assert late.min() > -1.1e-3 and late.max() < 1 / source_rate + 1e-9


def test_a_source_slower_than_the_model_is_taken_whole():
    times = [n / 3 for n in range(50)]
    assert taken(times) == times


def test_times_rounded_to_milliseconds():
    times = [round(n / 30, 3) for n in range(300)]
    assert taken(times) == times[::6]
    assert taken(times, 30) == times


@given(
    st.lists(st.floats(0.001, 0.9), min_size=1, max_size=200),
    st.sampled_from([1.0, 5.0, 12.5, 29.97]),
    st.floats(-1e5, 2e9),
)
def test_variable_frame_rate(gaps, rate, origin):
    """A frame is taken exactly when it is the first in its tick, counted from the first frame."""
    times = [origin, *(origin + np.cumsum(gaps))]
    expected, last = [], -1
    for time in times:
        tick = math.floor((time - origin + 1e-3) * rate)
        if tick > last:
            expected.append(time)
            last = tick
    assert taken(times, rate) == expected


def test_a_gap_is_not_filled_and_the_beat_goes_on():
    assert taken([0, 0.1, 0.2, 10.07, 10.1, 10.2, 10.3]) == [0, 0.2, 10.07, 10.2]


def test_steps_back():
    clock = FrameClock(5)
    assert clock.take(100.0) == 100.0
    assert clock.take(99.96) is None and not clock.is_new_start  # out of order
    assert clock.take(100.2) == 100.2
    assert clock.take(3.0) == 3.0 and clock.is_new_start  # from the beginning
    assert clock.take(3.1) is None and not clock.is_new_start
    assert clock.take(3.2) == 3.2


def test_without_times_every_frame_is_taken():
    clock = FrameClock(4)
    assert [clock.take(None) for _ in range(4)] == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
def test_times_that_are_none(time):
    clock = FrameClock(5)
    clock.take(0)
    with pytest.raises(DataError, match="timestamp is"):
        clock.take(time)
    assert clock.take(0.2) == 0.2


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
def test_rates_that_are_none(rate):
    with pytest.raises(ConfigError, match="frame rate"):
        FrameClock(rate)


@given(st.lists(st.floats(0, 50), max_size=30), st.lists(st.floats(0, 50), max_size=30))
def test_a_snapshot_goes_on_alike(before, after):
    clock, other = FrameClock(5), FrameClock(5)
    for time in before:
        clock.take(time)
    other.restore(clock.snapshot())
    assert [clock.take(time) for time in after] == [other.take(time) for time in after]


def test_smoothing_is_in_seconds():
    """Two half steps weigh as much as a whole one; a constant answer stays."""
    start, new = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    once, twice = Smoother(2.0), Smoother(2.0)
    for smoother in (once, twice):
        assert (smoother(start, 10.0) == start).all()
    twice(new, 10.7)
    np.testing.assert_allclose(once(new, 11.0), twice(new, 11.0), rtol=1e-12)
    np.testing.assert_allclose(once(new, 12.0)[0], math.exp(-1.0), rtol=1e-12)
    constant = Smoother(1.0)
    assert all((constant(start, t) == start).all() for t in range(5))
    assert (Smoother(None)(new, 0) == new).all()
    with pytest.raises(ConfigError, match="smooth is -1 seconds"):
        Smoother(-1)
