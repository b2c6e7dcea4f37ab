"""`UnreadAnswers`: ends connections whose client does not read."""

import asyncio
import time
from collections.abc import Callable, Collection


class UnreadAnswers:
    """Watches what connections still have to send.

    A client that asks and never reads would hold its connection for ever, closed or not: the
    answer waits in it. One that reads slowly goes on.

    Args:
        seconds: that a connection may have something to send and send nothing of it.
        clock: seconds, from any beginning.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._waiting: dict[asyncio.Transport, tuple[int, float]] = {}  # bytes, since when

    def end_stuck(self, transports: Collection[asyncio.Transport]) -> None:
        """Look at all connections; call it now and then."""
        now = self._clock()
        before, self._waiting = self._waiting, {}
        for transport in transports:
            size = transport.get_write_buffer_size()
            if not size:
                continue
            least, since = before.get(transport, (size, now))
            if size < least:
                least, since = size, now
            if now - since >= self._seconds:
                transport.abort()
            else:
                self._waiting[transport] = (least, since)
