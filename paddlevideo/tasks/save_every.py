"""``save_every``: how often the state of a training is saved, by steps, minutes or epochs."""

import time
from typing import Annotated

import pydantic

from paddlevideo.modeling.distributed import is_main
from paddlevideo.tasks.hooks import Hook, StepEnd, Training
from paddlevideo.utils.ranges import Count

Minutes = Annotated[float, pydantic.Field(gt=0, le=100_000)]
KeptStates = Annotated[int, pydantic.Field(ge=2, le=1000)]

_SECONDS = 60.0


class SaveEverySection(pydantic.BaseModel):
    """save_every: one of the three; the state is saved beside that of `save_interval`."""

    model_config = pydantic.ConfigDict(extra="forbid")

    steps: Count | None = None
    minutes: Minutes | None = None
    epochs: Count | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_them(self) -> "SaveEverySection":
        given = [value for value in (self.steps, self.minutes, self.epochs) if value is not None]
        if len(given) != 1:
            raise ValueError("give one of steps, minutes and epochs")
        return self


class SaveEvery(Hook):
    """Asks for a save whenever it is time.

    Steps are those of the whole run. Minutes are counted by the main process, from the last save
    it asked for; where it alone asks, all processes save after the same step.

    Args:
        often: the section.
    """

    def __init__(self, often: SaveEverySection) -> None:
        self.often = often
        self._last = time.monotonic()

    def on_train_start(self, training: Training) -> None:
        """Begin to count minutes."""
        self._last = time.monotonic()

    def on_step_end(self, training: Training, step: StepEnd) -> None:
        """Ask after so many steps or minutes; inside a group the loop puts it off."""
        steps, minutes = self.often.steps, self.often.minutes
        if steps is not None and training.position.iterations % steps == 0:
            training.ask_to_save()
        elif minutes is not None and is_main():
            now = time.monotonic()
            if now - self._last >= _SECONDS * minutes:
                self._last = now
                training.ask_to_save()

    def on_epoch_end(self, training: Training) -> None:
        """Ask after so many epochs."""
        epochs = self.often.epochs
        if epochs is not None and training.position.epochs_begun % epochs == 0:
            training.ask_to_save()
