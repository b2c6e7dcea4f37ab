"""Ctrl-C held back until a block has ended."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended; then raise `KeyboardInterrupt`.

    A second Ctrl-C does not wait: the block may itself be waiting, for another process. Inside
    Paddle's backward pass an interrupt would arrive as an error of an operation, with a
    traceback. Only Python's own handling of the signal is put off, in the thread it belongs to;
    another program's handler stays.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    arrived: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)
        if len(arrived) > 1:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if arrived:
        raise KeyboardInterrupt
