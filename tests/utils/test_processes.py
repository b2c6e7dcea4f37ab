"""The end of processes: with a grace period, then without."""

import multiprocessing
import signal
import time

from paddlevideo.utils.processes import end_process


def _sleep(ignores_terminate, ready):
    if ignores_terminate:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.set()
    time.sleep(600)


def ended(ignores_terminate):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_sleep, args=(ignores_terminate, ready), daemon=True)
    process.start()
    assert ready.wait(20)
    end_process(process, grace_seconds=2.0 if not ignores_terminate else 0.2)
    return process.exitcode


def test_one_that_listens_is_asked():
    assert ended(False) == -signal.SIGTERM


def test_one_that_does_not_is_killed():
    assert ended(True) == -signal.SIGKILL


def test_one_that_was_never_started():
    end_process(multiprocessing.get_context("fork").Process(target=print))
