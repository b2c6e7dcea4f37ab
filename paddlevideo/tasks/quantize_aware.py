"""Quantisation-aware training: the section QUANTIZE and its hook (docs/quantization.md).

Training goes on from a network that is trained in float32; batch norm's running statistics stay as
they are then, as it is part of the kernels that are rounded.
"""

import logging
from typing import Annotated

import pydantic
from paddle import nn

from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.modeling.layers.rounding import Phase, Quantization, has_ranges, quantization_of
from paddlevideo.tasks.best import BestResult
from paddlevideo.tasks.hooks import Hook, Training
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.ranges import Count, EpochNumber

logger = logging.getLogger(__name__)

_BEST = "best"  # the part of a training that keeps the best result


class QuantizeSection(pydantic.BaseModel):
    """QUANTIZE: training with the numbers of an int8 bundle."""

    model_config = pydantic.ConfigDict(extra="forbid")

    # Epochs that are trained in float32 first; 0: the weights that training starts from are enough.
    start_epoch: EpochNumber = 0
    # Weight of a tensor's old range at each step.
    momentum: Annotated[float, pydantic.Field(ge=0.0, lt=1.0)] = 0.9
    # Epochs, from the first with rounded numbers, after which ranges stay; null: they go on moving.
    freeze_ranges_after: Count | None = None

    def phase_of(self, epoch: int) -> Phase:
        """How the network computes in an epoch, counted from 0."""
        since = epoch - self.start_epoch
        if since < 0:
            return Phase.FLOAT
        is_fixed = self.freeze_ranges_after is not None and since >= self.freeze_ranges_after
        return Phase.FIXED if is_fixed else Phase.OBSERVING


def quantize_model(model: Recognizer, section: QuantizeSection | None) -> None:
    """Give the model the roundings that the section asks for; it computes in float32 until told.

    Raises:
        ConfigError: a part of the model does not know where it is rounded.
    """
    if section is not None:
        model.quantize(Quantization(section.momentum))


def compute_as_trained(model: nn.Layer) -> None:
    """Let a model whose weights were loaded round its numbers, if they came with ranges."""
    quantization = quantization_of(model)
    if quantization is None:
        return
    if has_ranges(model):
        quantization.phase = Phase.FIXED
    else:
        logger.warning(
            "QUANTIZE: the weights have no ranges: they are from before quantisation began, "
            "and are computed with in float32"
        )


class QuantizationSchedule(Hook):
    """Begins to round, and stops moving the ranges, at the epochs of the section.

    The best result of the epochs in float32 says nothing about a rounded network, so it is
    forgotten when rounding begins.

    Raises:
        ConfigError: no epoch would be trained with rounded numbers.
    """

    def __init__(self, section: QuantizeSection, epochs: int) -> None:
        if section.start_epoch >= epochs:
            raise ConfigError(
                f"QUANTIZE.start_epoch is {section.start_epoch}, and training ends after {epochs} "
                "epochs: nothing would be trained with rounded numbers"
            )
        self.section = section

    def on_epoch_start(self, training: Training) -> None:
        """Set the phase of the epoch."""
        quantization = quantization_of(training.model)
        assert quantization is not None, "the recipe's model was quantised when it was built"
        position = training.position
        phase = self.section.phase_of(position.epoch)
        if phase is not quantization.phase:
            logger.info("QUANTIZE: from epoch %d on %s", position.epoch + 1, phase.value)
        quantization.phase = phase
        begins = position.epoch == self.section.start_epoch > 0 and position.step == 0
        best = training.parts.get(_BEST)
        if begins and isinstance(best, BestResult):
            best.forget(position.epoch)

    def on_train_end(self, training: Training) -> None:
        """Ranges move no more."""
        quantization = quantization_of(training.model)
        if quantization is not None and quantization.is_on:
            quantization.phase = Phase.FIXED
