"""PreciseBN in the loop (config section ``PRECISEBN``, PaddleVideo's keys)."""

import contextlib
import logging
from collections.abc import Callable
from itertools import islice

import pydantic

from paddlevideo.loader import ClipLoader
from paddlevideo.modeling.layers.observed_batch_norm import trained_batch_norms
from paddlevideo.modeling.layers.precise_batch_norm import recompute_running_statistics
from paddlevideo.tasks.average import WeightAverage
from paddlevideo.tasks.hooks import Hook, Training
from paddlevideo.tasks.step import Precision
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.ranges import Count

logger = logging.getLogger(__name__)


class PreciseBatchNormSection(pydantic.BaseModel):
    """PRECISEBN: recompute batch norm's running statistics before validating and saving.

    Attributes:
        preciseBN_interval: every so many epochs, and after the last.
        num_iters_preciseBN: batches of each process; at most an epoch.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    preciseBN_interval: Count = 1
    num_iters_preciseBN: Count = 200


class PreciseBatchNorm(Hook):
    """Recomputes the statistics at the end of epochs, of the average of the weights too.

    The batches are the first ones of the epoch that has ended, as its transforms made them, not
    mixed: a function of (seed, epoch), so that a resumed run computes the same. An epoch that is
    cut short is left out.

    Args:
        section: when, and from how many batches.
        precision: that of training.
        open_loader: opens the training data a second time, for reading it beside the loop.
        average: has running statistics of its own; None: there is none.
    """

    def __init__(
        self,
        section: PreciseBatchNormSection,
        precision: Precision,
        open_loader: Callable[[], ClipLoader],
        average: WeightAverage | None = None,
    ) -> None:
        self.section = section
        self.precision = precision
        self.open_loader = open_loader
        self.average = average
        self._loader: ClipLoader | None = None

    def on_train_start(self, training: Training) -> None:
        """Open the data.

        Raises:
            ConfigError: the model has no batch norm that is trained.
        """
        if not trained_batch_norms(training.model):
            raise ConfigError(
                "PRECISEBN: no batch norm of the model is trained; remove the section"
            )
        self._loader = self.open_loader()

    def on_epoch_end(self, training: Training) -> None:
        """Recompute, where it is time."""
        done = training.position.epochs_begun
        due = done % self.section.preciseBN_interval == 0 or done == training.recipe.epochs
        if self._loader is None or training.position.step or not due:
            return
        self._recompute(training, self._loader, done - 1)
        if self.average is not None:
            with self.average.in_model(keep_statistics=True):
                self._recompute(training, self._loader, done - 1)

    def _recompute(self, training: Training, loader: ClipLoader, epoch: int) -> None:
        num_batches = min(self.section.num_iters_preciseBN, len(loader))
        with (
            contextlib.closing(loader.epochs(epoch, epoch + 1)) as batches,
            self.precision.autocast(),
        ):
            num_norms = recompute_running_statistics(training.model, islice(batches, num_batches))
        logger.info(
            "PRECISEBN: statistics of %d layers from %d batches a process", num_norms, num_batches
        )
