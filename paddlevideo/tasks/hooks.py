"""What hangs on to the training loop: hooks, and the events that writers read.

The loop knows none of them by name. A hook that is also `Stateful` is saved and restored with the
training. ``HOOKS`` in a config lists more of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from paddle import Tensor, nn

from paddlevideo.metrics import Metric
from paddlevideo.tasks.agreement import Agreement
from paddlevideo.tasks.position import Position
from paddlevideo.tasks.stateful import Stateful
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.utils.registry import Registry

if TYPE_CHECKING:
    from paddlevideo.tasks.recipe import Recipe  # it checks the section HOOKS


@dataclass(frozen=True)
class Event:
    """Something that happened, for those who write it down.

    Attributes:
        kind: ``start``, ``resume``, ``train`` (some steps), ``train_epoch``, ``valid``.
        values: what is recorded, such as ``epoch`` (from 1), ``step`` (from 0), ``loss``, ``lr``.
        extra: what is only shown, such as the time that is left in seconds.
        iterations: steps of the whole run that are done; the loop fills it in.
    """

    kind: str
    values: ReadNode
    extra: Mapping[str, float] = field(default_factory=dict)
    iterations: int = 0


@dataclass(frozen=True)
class StepEnd:
    """One step that was taken.

    Attributes:
        batch: what it was given.
        result: ``loss`` and ``logits`` and, where the weights moved, ``grad_norm``, detached.
        learning_rate: of the update.
        updated: whether the weights moved; False inside a group of accumulated batches.
    """

    batch: Mapping[str, Tensor]
    result: Mapping[str, Tensor]
    learning_rate: float
    updated: bool


class Training(Protocol):
    """The training as a hook sees it.

    Attributes:
        recipe: its configuration.
        folder: of the run.
        model: the recognizer.
        metric: of the validation.
        position: the step that comes next.
        last_step: step before which this epoch ends, steps_per_epoch unless it is cut.
        parts: everything that is saved, by name.
        agreement: on requests, among the processes.
    """

    recipe: Recipe
    folder: Path
    model: nn.Layer
    metric: Metric
    position: Position
    last_step: int
    parts: Mapping[str, Stateful]
    agreement: Agreement

    def emit(self, event: Event) -> None:
        """Give an event to every hook."""

    def ask_to_save(self) -> None:
        """Have the state saved as soon as it is whole; may be called in any one process.

        That is before the next step that begins a group of batches or, at the end of an epoch,
        before its validation; one asked for by a validation is saved after it.
        """

    def stop(self, reason: str) -> None:
        """Have the training saved, as by `ask_to_save`, and ended; the log gives the reason.

        May be called in any one process. A validation that is due then is made when the run goes
        on.
        """

    def save_best(self, result: Mapping[str, float]) -> None:
        """Save the weights as the best ones, with their result as one; when it returns it is done.

        They are those that were validated (`Hook.evaluation_weights`).
        """


class Hook:
    """Called by the loop at its points, in every process; each does nothing by default.

    An error that a hook raises ends the training.
    """

    def on_train_start(self, training: Training) -> None:
        """Weights and state are loaded, the first step comes next."""

    def on_epoch_start(self, training: Training) -> None:
        """An epoch, or what is left of one, begins."""

    def on_step_end(self, training: Training, step: StepEnd) -> None:
        """A step was taken; the position is that of the next."""

    def on_epoch_end(self, training: Training) -> None:
        """The steps of an epoch are done; it is not validated or saved yet."""

    def evaluation_weights(self, training: Training) -> AbstractContextManager[None]:
        """Within this block the model has the weights that are validated and saved as the best.

        By default those of training. A hook with weights of its own, such as an average, puts them
        into the model on entering and the others back on leaving, bit by bit; `on_validation_end`
        is called inside the block.
        """
        return nullcontext()

    def on_validation_end(self, training: Training, result: Mapping[str, float]) -> None:
        """The model was validated, with this result."""

    def on_train_end(self, training: Training) -> None:
        """The training has ended, be it by an error; what was opened can be closed."""

    def on_event(self, event: Event) -> None:
        """Write an event down."""


HOOKS: Registry[Hook] = Registry("hook", Hook)
