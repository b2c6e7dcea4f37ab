"""The suite's own instruments: each outcome is seen, and seeds repeat."""

import mmap
import os
import signal
import time

import numpy as np

from paddlevideo.utils.errors import DataError
from robustness.guarded import failures, outcomes
from robustness.mutations import mutants


def _behave(case: str) -> str:
    if case == "refused":
        raise DataError("no")
    if case == "foreign":
        raise KeyError("x")
    if case == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    if case == "slow":
        time.sleep(60)
    if case == "memory":
        # Not by malloc, which may hold as much that was freed.
        np.frombuffer(mmap.mmap(-1, 300 * 2**20), np.uint8)[:] = 1
    return case


def test_every_outcome_is_seen_and_the_next_case_goes_on():
    cases = ["ok", "refused", "foreign", "signal", "ok", "slow", "memory", "ok"]
    results = outcomes(_behave, cases, seconds=2, memory_mb=200)
    assert [result.kind for result in results] == cases
    assert len(failures(results, cases)) == 4


def test_seeds_repeat_and_differ():
    data = bytes(range(256)) * 20
    first = list(mutants(data, 20, seed=1))
    assert first == list(mutants(data, 20, seed=1))
    assert first != list(mutants(data, 20, seed=2))
    assert sum(mutant != data for _, mutant in first) >= 18
