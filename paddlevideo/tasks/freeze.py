"""Freezing the first stages of a model while the rest is trained (``freeze``, ``FREEZE``).

The recognizer names its stages (``freezable_stages``), in the order of its forward pass; a name
freezes its own layers and those of every stage before it. Freezing is about one training, not
about the network: the model that is saved, tested or exported is the same.

``freeze`` is for a whole training. ``FREEZE`` is a timetable: the classifier first, then more, then
all. There the optimizer knows every parameter from the start; what is frozen has no gradient, so
that neither it nor its state moves, by weight decay or momentum either.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pydantic
from paddle import Tensor, nn

from paddlevideo.utils.errors import ConfigError, nearest_hint
from paddlevideo.utils.ranges import Count

logger = logging.getLogger(__name__)


class FreezePhase(pydantic.BaseModel):
    """An entry of FREEZE: up to and with ``until_epoch`` (from 1) everything ``through`` a stage.

    Attributes:
        until_epoch: the last epoch of the phase; the next phase follows, after the last one all
            is trained.
        through: a name of the model's ``freezable_stages``.
    """

    model_config = pydantic.ConfigDict(extra="forbid")

    until_epoch: Count
    through: str


def check_timetable(phases: Sequence[FreezePhase], freeze: str | None) -> None:
    """Raise `ConfigError` unless the phases follow one another, beside no ``freeze``."""
    if phases and freeze is not None:
        raise ConfigError("freeze holds for the whole training, FREEZE by epochs; leave one out")
    ends = [phase.until_epoch for phase in phases]
    for number, (before, end) in enumerate(pairwise(ends), start=1):
        if end <= before:
            raise ConfigError(
                f"FREEZE[{number}].until_epoch: {end} does not come after the {before} of the "
                "phase before it"
            )


def frozen_layers(model: nn.Layer, freeze: str | None, where: str = "freeze") -> list[nn.Layer]:
    """Return the layers that ``freeze`` names; none without it.

    Args:
        where: YAML path of the name, for messages.

    Raises:
        ConfigError: the model has no stage of that name.
    """
    if freeze is None:
        return []
    stages = model.freezable_stages()
    if freeze not in stages:
        hint = nearest_hint(freeze, stages)
        raise ConfigError(f'{where}: the model has no stage "{freeze}"; {hint}')
    layers: list[nn.Layer] = []
    for name, own in stages.items():
        layers += own
        if name == freeze:
            break
    return layers


class FrozenStages:
    """The frozen part of a model: no gradient, and always in evaluation mode.

    Args:
        model: a recognizer; its frozen parameters get no gradient from now on, so an optimizer
            built after this does not know them.
        freeze: a name of ``model.freezable_stages()``, or None.
        phases: a timetable; what it freezes at times an optimizer does know.

    Raises:
        ConfigError: the model has no stage of that name.
    """

    def __init__(
        self, model: nn.Layer, freeze: str | None, phases: Sequence[FreezePhase] = ()
    ) -> None:
        check_timetable(phases, freeze)
        self.model = model
        self.phases = [
            (phase, frozen_layers(model, phase.through, f"FREEZE[{number}].through"))
            for number, phase in enumerate(phases)
        ]
        self._all = {id(p): p for _, layers in self.phases for x in layers for p in x.parameters()}
        self._trainable = [p for p in self._all.values() if not p.stop_gradient]
        self._phase: FreezePhase | None = None
        # Paddle keeps running statistics among the parameters, without a gradient.
        self._statistics = [tensor for tensor in model.parameters() if tensor.stop_gradient]
        self.layers = frozen_layers(model, freeze)
        for layer in self.layers:
            for parameter in layer.parameters():
                parameter.stop_gradient = True

    def train_rest(self, epoch: int = 0) -> None:
        """Put the model into training mode, the frozen part into evaluation mode.

        There batch norm uses its running statistics and leaves them as they are, and dropout and
        stochastic depth are off.

        Args:
            epoch: that is trained, from 0, for the timetable.
        """
        if self.phases:
            self._turn_to(epoch)
        self.model.train()
        for layer in self.layers:
            layer.eval()

    def _turn_to(self, epoch: int) -> None:
        """Freeze what the timetable freezes in ``epoch``, and nothing else."""
        phase: FreezePhase | None
        due = (each for each in self.phases if epoch < each[0].until_epoch)
        phase, self.layers = next(due, (None, []))
        frozen = {id(p) for layer in self.layers for p in layer.parameters()}
        for parameter in self._trainable:
            parameter.stop_gradient = id(parameter) in frozen
            if parameter.stop_gradient:
                parameter.clear_gradient(set_to_zero=False)  # none of the phase before is used
        if phase is not self._phase or phase is None:
            self._log(phase, epoch)
        self._phase = phase

    def _log(self, phase: FreezePhase | None, epoch: int) -> None:
        if phase is not None:
            logger.info(
                "freeze: everything up to %s stays as it is until the end of epoch %d",
                phase.through, phase.until_epoch,
            )  # fmt: skip
        elif epoch == self.phases[-1][0].until_epoch:
            logger.info("freeze: from epoch %d on all is trained", epoch + 1)

    def statistics(self) -> Iterator[Tensor]:
        """The running statistics that training may change at some time, always the same ones."""
        frozen = {} if self.phases else {id(p) for x in self.layers for p in x.parameters()}
        return (tensor for tensor in self._statistics if id(tensor) not in frozen)

    def moving_statistics(self) -> Iterator[Tensor]:
        """The running statistics that training changes now: those of layers not frozen."""
        frozen = {id(p) for layer in self.layers for p in layer.parameters()}
        return (tensor for tensor in self._statistics if id(tensor) not in frozen)
