"""Writes beside the training: one at a time, in order, and what becomes of those that fail."""

import logging
import threading
import time

import pytest

from paddlevideo.tasks.saver import Saver
from paddlevideo.utils.errors import NonFiniteError, SaveError


@pytest.fixture
def saver():
    saver = Saver()
    yield saver
    saver.close()


def refuse():
    raise OSError(28, "No space left on device", "folder/file")


def test_the_training_goes_on_while_it_is_written(saver):
    """The first waits for nothing; the next for the one before."""
    gate, order = threading.Event(), []

    def slow():
        assert gate.wait(10)
        order.append("first")

    start = time.monotonic()
    saver.start("one", slow)
    saver.check()
    assert time.monotonic() - start < 1 and not order
    threading.Timer(0.2, gate.set).start()
    saver.start("two", lambda: order.append("second"))
    saver.finish()
    assert order == ["first", "second"]


def test_failures_in_a_row(saver, caplog):
    with caplog.at_level(logging.WARNING, "paddlevideo"):
        for write in (refuse, refuse, lambda: None, refuse, refuse):
            saver.start("the state", write)
        saver.wait()
        saver.check()
    texts = [record.getMessage() for record in caplog.records]
    assert [text[-len("(1 of 3 in a row)") :] for text in texts] == [
        "(1 of 3 in a row)", "(2 of 3 in a row)", "(1 of 3 in a row)", "(2 of 3 in a row)"
    ]  # fmt: skip
    assert texts[0].startswith("the state could not be saved: folder/file: No space left on device")
    saver.start("the state", refuse)
    saver.wait()
    with pytest.raises(SaveError, match="3 saves in a row have failed"):
        saver.check()


def test_the_last_one_must_not_fail(saver):
    saver.start("the state", refuse)
    with pytest.raises(SaveError, match=r"No space left .* it was the last save of the run"):
        saver.finish()


def test_another_error_is_raised_as_it_is(saver):
    def spoiled():
        raise NonFiniteError("w holds numbers that are not finite")

    saver.start("the state", spoiled)
    saver.wait()
    with pytest.raises(NonFiniteError, match="w holds"):
        saver.check()
    saver.finish()
