"""Threads that join in what another thread computes."""

import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[int], None]


class Helpers:
    """Threads at hand within some microseconds; nobody waits for them.

    They are started when first needed, and again in a forked process, which has none. They end
    with the object.

    Args:
        count: of threads.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._queue: SimpleQueue[tuple[Work, int] | None] = SimpleQueue()
        self._pid = 0

    def invite(self, work: Work) -> None:
        """Have ``work(1)`` .. ``work(count)`` called soon, side by side.

        Args:
            work: must be of no harm, and end at once, when it is called after all is done.
        """
        if self._pid != os.getpid():
            self._start()
        if not self._queue.empty():
            return  # they are late: what waits for them already is over when they come
        for part in range(1, self._count + 1):
            self._queue.put((work, part))

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._queue = SimpleQueue()
            for number in range(self._count):
                threading.Thread(
                    target=_help, args=(self._queue,), name=f"helper_{number}", daemon=True
                ).start()
            weakref.finalize(self, _stop, self._queue, self._count).atexit = False
            self._pid = os.getpid()


def _help(queue: "SimpleQueue[tuple[Work, int] | None]") -> None:
    while True:
        given = queue.get()
        if given is None:
            return
        work, part = given
        work(part)
        del given, work  # nothing of it is kept while waiting


def _stop(queue: "SimpleQueue[tuple[Work, int] | None]", count: int) -> None:
    for _ in range(count):
        queue.put(None)
