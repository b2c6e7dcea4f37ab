"""The best validation result so far, and the end of a training that gets no better."""

import logging
from collections.abc import Mapping

import pydantic

from paddlevideo.metrics import Metric
from paddlevideo.tasks.hooks import Hook, Training
from paddlevideo.tasks.stateful import State, Stateful, checked_state

logger = logging.getLogger(__name__)

_SINCE = "results_since_epoch"


class _BestState(pydantic.RootModel[dict[str, float]]):
    model_config = pydantic.ConfigDict(allow_inf_nan=False)


class BestResult(Hook, Stateful):
    """Keeps the best result, by the metric's own rule, and has its weights saved.

    Attributes:
        result: with its ``epoch``; empty before the first validation.
        since: results of this epoch and before say nothing about the network any more.
    """

    def __init__(self) -> None:
        self.result: dict[str, float] = {}
        self.since = 0

    def forget(self, epoch: int) -> None:
        """Begin anew: the network computes in another way behind this epoch."""
        self.result, self.since = {}, epoch

    def on_validation_end(self, training: Training, result: Mapping[str, float]) -> None:
        """Save the weights if the result is better than any before."""
        if training.metric.is_better(result, self.result):
            self.result = {**result, "epoch": training.position.epochs_begun}
            training.save_best(self.result)
            name = training.metric.headline
            logger.info("Already save the best model (%s acc)%.4f", name, result[name])

    def take_better(self, found: Mapping[str, float] | None, metric: Metric) -> None:
        """Take the result of the best weights on the disk, if it is better than that of a state."""
        if not found or metric.headline not in found or found.get("epoch", 0) <= self.since > 0:
            return
        if metric.is_better(found, self.result):
            self.result = dict(found)

    def state_dict(self) -> State:
        """Return the result, and since when results count."""
        return {**self.result, **({_SINCE: self.since} if self.since else {})}

    def check_state(self, state: State, source: str) -> None:
        """Raise `WeightsError` unless it is a mapping to numbers."""
        checked_state(_BestState, state, source)

    def load_state_dict(self, state: State, source: str) -> None:
        """Take them."""
        values = dict(checked_state(_BestState, state, source).root)
        self.since = int(values.pop(_SINCE, 0))
        self.result = values


class EarlyStop(Hook):
    """Ends the training when the best result is too many validations ago.

    Args:
        best: knows the best result.
        patience: validations in a row without a better one.
    """

    def __init__(self, best: BestResult, patience: int) -> None:
        self.best = best
        self.patience = patience

    def on_train_start(self, training: Training) -> None:
        """A run that had ended so does not go on when it is resumed."""
        if not training.position.validation_pending:
            self._judge(training, training.position.epoch)

    def on_validation_end(self, training: Training, result: Mapping[str, float]) -> None:
        """Count the epochs since the best result."""
        self._judge(training, training.position.epochs_begun)

    def _judge(self, training: Training, done: int) -> None:
        since = done - self.best.result.get("epoch", done)
        if since >= self.patience * training.recipe.val_interval:
            training.stop(
                f"no better result in {self.patience} validations (patience): "
                f"training ends after epoch {done}"
            )
