"""Signals in a training: the step ends, all processes agree, the state is saved, then it ends.

SIGTERM, SIGINT and SIGHUP stop, with the exit code 128 + signal, as a shell shows it; SIGUSR1 saves
and goes on. A second SIGINT ends at once. The same happens where the launcher of this process is
gone: `paddle.distributed.launch` forwards SIGTERM, and waits 30 s for its processes before it kills
them, but a launcher that is killed itself leaves them behind.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TypeAlias

from paddlevideo.tasks.agreement import Agreement, Stop, WaitEnded
from paddlevideo.tasks.hooks import Hook, Training
from paddlevideo.utils.user_errors import EXIT_INTERRUPTED

logger = logging.getLogger(__name__)

GROUP_GRACE_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_PARENT_CHECK_SECONDS = 1.0
# Set by `paddle.distributed.launch` in the processes that it starts.
_OF_A_LAUNCH = ("POD_NAME", "PADDLE_LOCAL_RANK")
_ALARM = "SIGALRM"

_Handler: TypeAlias = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


def stopping_signals() -> list[signal.Signals]:
    """The signals that end a training, of those that this system has."""
    return [each for each in signal.Signals if each.name in ("SIGTERM", "SIGINT", "SIGHUP")]


class SignalStops(Hook):
    """Handles signals within its ``with`` block; a hook, so that it knows the training.

    Outside the main thread it does nothing: there signals cannot be handled. What handlers were
    there before is put back at the end.

    Attributes:
        received: the first signal that asked to stop; None without any.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._agreement: Agreement | None = None
        self._before: dict[int, _Handler] = {}
        self._left = threading.Event()

    def __enter__(self) -> "SignalStops":
        if threading.current_thread() is not threading.main_thread():
            return self
        for each in stopping_signals():
            self._install(each, self._stop)
        for each in signal.Signals:
            if each.name == "SIGUSR1":
                self._install(each, self._save)
            elif each.name == _ALARM:
                self._install(each, self._end_wait)
        if all(name in os.environ for name in _OF_A_LAUNCH):
            threading.Thread(target=self._watch_launcher, args=(os.getppid(),), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        if _ALARM in signal.Signals.__members__ and self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def on_train_start(self, training: Training) -> None:
        """From now on there is something to save."""
        self._agreement = training.agreement

    def on_train_end(self, training: Training) -> None:
        """From now on there is nothing that could be saved."""
        self._agreement = None

    def _install(self, number: signal.Signals, handler: _Handler) -> None:
        self._before[number] = signal.signal(number, handler)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        again = self.received is not None
        if again and number == signal.SIGINT:
            # Not by an exception: inside an operation of Paddle it would come out as its error.
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, b"interrupted\n")
            os._exit(EXIT_INTERRUPTED)
        kind = signal.Signals(number)
        if not again:
            self.received = kind
        if self._agreement is None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(Stop(kind.name, number).exit_code)
        if again:
            return
        self._agreement.ask_to_stop(f"stopped by {kind.name}", number)
        if self._agreement.waits and self._agreement.at_whole:
            raise WaitEnded
        if _ALARM in signal.Signals.__members__:
            signal.setitimer(signal.ITIMER_REAL, GROUP_GRACE_SECONDS)

    def _save(self, _number: int, _frame: FrameType | None) -> None:
        if self._agreement is not None:
            self._agreement.ask_to_save()

    def _end_wait(self, _number: int, _frame: FrameType | None) -> None:
        """End a wait for data that goes on though the training is to stop."""
        if self._agreement is None:
            return
        signal.setitimer(signal.ITIMER_REAL, _RETRY_SECONDS)  # for a wait that is yet to come
        if self._agreement.waits:
            raise WaitEnded

    def _watch_launcher(self, launcher: int) -> None:
        while os.getppid() == launcher:
            if self._left.wait(_PARENT_CHECK_SECONDS):
                return
        logger.warning("the launcher of this process is gone: it ends as after SIGTERM")
        os.kill(os.getpid(), signal.SIGTERM)
