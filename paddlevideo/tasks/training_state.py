"""``state.json``: what a resumed run needs besides weights and optimizer."""

from pathlib import Path

import pydantic

from paddlevideo.utils.damage import read_bounded
from paddlevideo.utils.errors import WeightsError, shown
from paddlevideo.utils.limits import limit
from paddlevideo.utils.ranges import EpochNumber


class TrainingState(pydantic.BaseModel):
    """The state after an epoch, or after a part of one.

    Attributes:
        epoch: number of the epoch, from 1.
        optimizer: class of the optimizer.
        best: the best validation result so far, with its epoch; empty without validation.
        iterations: steps of the whole run.
        next_step: step of the epoch to go on with; 0: the epoch is whole.
        seed: of the run.
        freeze: the frozen part of the model.
    """

    model_config = pydantic.ConfigDict(allow_inf_nan=False)

    epoch: EpochNumber
    optimizer: str | None = None
    best: dict[str, float] = {}
    iterations: int = pydantic.Field(0, ge=0, le=2**62)
    next_step: EpochNumber = 0
    seed: int = pydantic.Field(0, ge=0, lt=2**63)
    freeze: str | None = None


def read_state(path: Path, epoch: int) -> TrainingState:
    """Read the state after ``epoch``.

    Raises:
        WeightsError: the file cannot be read, is not of this form, or is that of another epoch.
    """
    text = read_bounded(path, int(limit("config_bytes")))
    try:
        state = TrainingState.model_validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))[:100]
        raise WeightsError(
            f"{path} cannot be read as a training state: {at}: {first['msg'][:200]}"
        ) from None
    if state.epoch != epoch:
        raise WeightsError(f"{path} is the state of epoch {shown(state.epoch)}, not {epoch}")
    return state
