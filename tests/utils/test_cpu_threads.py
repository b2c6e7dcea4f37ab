"""Sharing work out to threads: every item once, errors passed on, forked processes."""

import multiprocessing
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paddlevideo.utils.cpu_threads import CpuThreads, available_cores


def threads_of(count):
    threads = CpuThreads()
    threads.count = count
    return threads


@settings(max_examples=50, deadline=None, derandomize=True)
@given(count=st.integers(0, 40), num_threads=st.integers(1, 6))
def test_every_item_once(count, num_threads):
    done = [0] * count

    def work(first, last):
        for item in range(first, last):
            done[item] += 1

    threads_of(num_threads).share_out(count, work)
    assert done == [1] * count


@pytest.mark.parametrize("bad", [0, 9])
def test_an_error_comes_after_all_have_ended(bad):
    ended = []

    def work(first, last):
        if first <= bad < last:
            raise ValueError("in a part")
        ended.append(first)

    with pytest.raises(ValueError, match="in a part"):
        threads_of(3).share_out(10, work)
    assert len(ended) == 2


def test_a_forked_process_has_threads_of_its_own():
    threads = threads_of(3)
    threads.share_out(3, lambda first, last: None)
    fork = multiprocessing.get_context("fork")
    mine, theirs = fork.Pipe()

    def child():
        parts = []
        threads.share_out(6, lambda first, last: parts.append((first, last)))
        theirs.send(sorted(parts))

    process = fork.Process(target=child)
    process.start()
    assert mine.poll(20), "the child waits for threads that only its parent has"
    assert mine.recv() == [(0, 2), (2, 4), (4, 6)]
    process.join()


def test_cores():
    assert 1 <= available_cores() <= os.cpu_count()
