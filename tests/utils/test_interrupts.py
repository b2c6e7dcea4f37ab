"""Ctrl-C waits for the end of a block; a second one does not; others' handlers stay."""

import os
import signal
import threading

import pytest

from paddlevideo.utils.interrupts import interrupts_held


def control_c():
    os.kill(os.getpid(), signal.SIGINT)


def test_it_waits_for_the_end():
    reached = []
    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with interrupts_held():
            control_c()
            reached.append("end")
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_does_not_wait():
    reached = []
    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with interrupts_held():
            control_c()
            control_c()
            reached.append("end")
    assert not reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_block_is_passed_on():
    with pytest.raises(ValueError, match="mine"):  # noqa: SIM117
        with interrupts_held():
            raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_programs_handler_stays():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with interrupts_held():
            control_c()
            assert seen == [1]
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_have_no_signals():
    done = []

    def work():
        with interrupts_held():
            done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
