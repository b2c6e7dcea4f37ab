"""Where in the data a training is."""

from typing import Annotated

import pydantic

from paddlevideo.tasks.stateful import State, Stateful, checked_state
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.ranges import EpochNumber


class _PositionState(pydantic.BaseModel):
    epoch: EpochNumber
    step: EpochNumber
    iterations: Annotated[int, pydantic.Field(ge=0, le=2**62)]
    validation_pending: bool = False


class Position(Stateful):
    """The step that comes next.

    Attributes:
        epoch: of it, from 0; as many epochs are done.
        step: of it within the epoch, from 0.
        iterations: steps of the whole run so far.
        steps_per_epoch: of every epoch.
        validation_pending: the steps before it are done and saved, and not validated yet.
    """

    def __init__(self, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.epoch = self.step = self.iterations = 0
        self.validation_pending = False

    @property
    def epochs_begun(self) -> int:
        """Epochs that are done, the one that is done in part included."""
        return self.epoch + (self.step > 0)

    def advance(self) -> None:
        """Go on to the next step, be it in the next epoch."""
        self.validation_pending = False
        self.iterations += 1
        self.step += 1
        if self.step == self.steps_per_epoch:
            self.epoch, self.step = self.epoch + 1, 0

    def state_dict(self) -> State:
        """Return the numbers, and what is pending."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "iterations": self.iterations,
            "validation_pending": self.validation_pending,
        }

    def check_state(self, state: State, source: str) -> None:
        """Raise `WeightsError` where an epoch has no such step."""
        checked = checked_state(_PositionState, state, source)
        if checked.step >= self.steps_per_epoch:
            raise WeightsError(
                f"it goes on in epoch {checked.epoch + 1} before step {checked.step}, and an epoch "
                f"has {self.steps_per_epoch} steps now; give the data and the batch size of the run"
            )

    def load_state_dict(self, state: State, source: str) -> None:
        """Go there."""
        self.check_state(state, source)
        checked = checked_state(_PositionState, state, source)
        self.epoch, self.step = checked.epoch, checked.step
        self.iterations = checked.iterations
        self.validation_pending = checked.validation_pending
