"""`Agreement`: what one process of a training asks for, all of them do, at the same step.

Requests (save, stop) may come at any time in any process: from a hook, a clock, a signal. They are
told to the others where all come together anyway: before a step, when each has its batch, and in
the judgement of a step. With one process a request is agreed on at the same points.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import JsonValue

from paddlevideo.modeling.distributed import exchange

logger = logging.getLogger(__name__)

Batch = TypeVar("Batch")
Facts = Mapping[str, JsonValue]

_EXIT_SIGNAL = 128
_FACTS, _SAVE, _STOP, _SIGNAL = "facts", "save", "stop", "signal"


@dataclass(frozen=True)
class Stop:
    """Why a training ends before its time.

    Attributes:
        reason: for the log.
        signal: the number of the signal that asked for it; 0 without one.
    """

    reason: str
    signal: int = 0

    @property
    def exit_code(self) -> int:
        """128 + signal, as a shell shows a process that a signal has ended; 0 without a signal."""
        return _EXIT_SIGNAL + self.signal if self.signal else 0


class WaitEnded(BaseException):
    """Raised by a signal's handler in a wait for data, to end it; no error, and caught as none."""


class Stopped(Exception):  # noqa: N818 - no error
    """All processes agreed to stop, and what was going on has no result."""


class Agreement:
    """Takes requests of this process; `reach` makes them those of all.

    Attributes:
        save: it is agreed that the state is saved; `saved` takes it back.
        stop: it is agreed that the training ends, and why.
        waits: this process waits for data and `WaitEnded` may be raised in it.
        at_whole: nothing is under way that a checkpoint could not hold: the wait may be ended
            without a loss.
    """

    def __init__(self, talk: Callable[[str], list[str]] = exchange) -> None:
        self._talk = talk
        self._save_asked = False
        self._stop_asked: Stop | None = None
        self.save = False
        self.stop: Stop | None = None
        self.waits = False
        self.at_whole = True

    def ask_to_save(self) -> None:
        """Have the state saved by all processes."""
        self._save_asked = True

    def ask_to_stop(self, reason: str, signal: int = 0) -> None:
        """Have the training ended in all processes; the first reason stays."""
        if self._stop_asked is None:
            self._stop_asked = Stop(reason, signal)

    @property
    def stop_asked(self) -> bool:
        """Whether this process wants to stop, be it agreed on or not."""
        return self._stop_asked is not None

    def saved(self) -> None:
        """The state was saved as agreed."""
        self.save = False

    def reach(self, facts: Facts | None = None) -> list[Facts]:
        """Agree on what any process has asked for; return the facts that each gives.

        To be called by all processes at the same point, where it waits for the last of them.

        Raises:
            DeviceError: another process has ended.
        """
        save_asked, stop_asked = self._save_asked, self._stop_asked
        ours: dict[str, JsonValue] = {_FACTS: dict(facts or {}), _SAVE: save_asked}
        if stop_asked is not None:
            ours |= {_STOP: stop_asked.reason, _SIGNAL: stop_asked.signal}
        given = [json.loads(text) for text in self._talk(json.dumps(ours))]
        if save_asked:  # one that came in the meantime is for the next time
            self._save_asked = False
        self.save = self.save or any(each[_SAVE] for each in given)
        stops = [Stop(each[_STOP], each[_SIGNAL]) for each in given if _STOP in each]
        if stops and self.stop is None:
            self.stop = next((stop for stop in stops if stop.signal), stops[0])
        return [each[_FACTS] for each in given]

    def batches(self, batches: Iterator[Batch], is_whole: Callable[[], bool]) -> Iterator[Batch]:
        """Yield the batches, each when every process has its own; end where a stop is agreed on.

        A stop waits until the state is whole. A signal ends a wait for data at once where it is,
        and after a while where it is not: then what was done since the last save is lost.

        Args:
            is_whole: whether the state could be saved now.
        """
        while True:
            self.at_whole = is_whole()
            try:
                batch, came = self._next(batches), True
            except StopIteration:
                return
            except WaitEnded:
                batch, came = None, False
            everywhere = all(facts["batch"] for facts in self.reach({"batch": came}))
            if batch is None or not everywhere or (self.stop is not None and self.at_whole):
                return
            yield batch

    def until_stopped(self, batches: Iterator[Batch], most: int) -> Iterator[Batch]:
        """Yield the batches of something that has a result only when it is whole: a validation.

        Args:
            most: batches of the process that has the most of them, the same number in all.

        Raises:
            Stopped: it is agreed that the training ends; in all processes alike.
        """
        self.at_whole = True
        for _ in range(most):
            self._check_going_on()
            try:
                batch = self._next(batches)
            except StopIteration:  # others have one batch more
                continue
            except WaitEnded:  # the next check tells the others, and raises
                continue
            yield batch
        self._check_going_on()

    def _check_going_on(self) -> None:
        self.reach()
        if self.stop is not None:
            raise Stopped

    def _next(self, batches: Iterator[Batch]) -> Batch:
        self.waits = True
        try:
            if self.stop_asked and self.at_whole:
                raise WaitEnded
            return next(batches)
        finally:
            self.waits = False
