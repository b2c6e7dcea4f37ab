"""The time that is left of a run, its validations included."""

import time
from collections import deque
from collections.abc import Mapping

from paddlevideo.tasks.hooks import Hook, StepEnd, Training
from paddlevideo.tasks.run_length import RunLength

_STEPS_KEPT = 100
# Of the time of a training step: what a batch of a validation is taken to cost before the first
# one is measured. It has no backward pass, and reads as many clips.
_VALIDATION_BATCH = 0.5


class TimeLeft(Hook):
    """Measures steps and validations; from both follows what the rest of the run takes.

    The pace is that of the last steps, without the first one of the process, which compiles.
    """

    def __init__(self, length: RunLength) -> None:
        self.length = length
        self._steps: deque[float] = deque(maxlen=_STEPS_KEPT)
        self._validations: list[float] = []
        self._validations_left = length.validations
        self._batches = 0  # of the validation that is under way
        self._first: float | None = None
        self._mark = time.monotonic()

    def on_train_start(self, training: Training) -> None:
        """Leave out the validations that were before a resume."""
        done = self.length.validations_done(training.position.iterations)
        self._validations_left = self.length.validations - done

    def on_epoch_start(self, training: Training) -> None:
        """Let time run."""
        self._mark = time.monotonic()

    def on_step_end(self, training: Training, step: StepEnd) -> None:
        """Take the time of a step, the wait for its batch included."""
        taken = self._since_mark()
        if self._first is None:
            self._first = taken
        else:
            self._steps.append(taken)

    def on_epoch_end(self, training: Training) -> None:
        """Let the time of a validation run."""
        self._mark = time.monotonic()

    def on_validation_batch(self, training: Training) -> None:
        """Let what is left of this validation shrink."""
        self._batches += 1

    def on_validation_end(self, training: Training, result: Mapping[str, float]) -> None:
        """Take the time of a validation."""
        self._validations.append(self._since_mark())
        self._validations_left -= 1
        self._batches = 0

    def seconds(self, steps_done: int) -> float:
        """Seconds to the end of a run that has taken so many steps."""
        step = self._step_seconds()
        validation = self._validation_seconds(step)
        left = max(0, self.length.steps - steps_done) * step
        done = self._batches / max(1, self.length.validation_batches)
        return left + max(0.0, self._validations_left - done) * validation

    def _step_seconds(self) -> float:
        if self._steps:
            return sum(self._steps) / len(self._steps)
        return time.monotonic() - self._mark if self._first is None else self._first

    def _validation_seconds(self, step: float) -> float:
        if self._validations:
            return sum(self._validations) / len(self._validations)
        return self.length.validation_batches * _VALIDATION_BATCH * step

    def _since_mark(self) -> float:
        before, self._mark = self._mark, time.monotonic()
        return self._mark - before
