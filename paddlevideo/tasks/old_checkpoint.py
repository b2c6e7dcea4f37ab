"""Checkpoints of earlier versions, which are read and never written.

The folder ``<name>_epoch_00010.state`` lies beside ``<name>_epoch_00010.pdparams``, which its
manifest vouches for; the weights are not in it. Its ``state.json``::

    {"epoch": 3, "parts": {"position": {"epoch": 3, "step": 0, "iterations": 600}, ...}}

Before there were parts it was one flat mapping, ``{"epoch": 3, "iterations": 600, "best": ...}``;
it is read as the same parts.
"""

from pathlib import Path

import pydantic

from paddlevideo.tasks.saved_state import STATE, SavedState, Values
from paddlevideo.tasks.stateful import not_a_state
from paddlevideo.utils.damage import read_bounded
from paddlevideo.utils.errors import WeightsError, shown
from paddlevideo.utils.limits import limit
from paddlevideo.utils.ranges import EpochNumber


class OldCheckpoint(SavedState):
    """The training state after an epoch.

    Args:
        folder: ``<name>_epoch_00010.state``.
        epoch: that the name says, from 1.
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        super().__init__(folder, f"epoch {epoch}")
        self.epoch = epoch

    @property
    def weights(self) -> Path:
        """The file of the model's weights, beside the folder."""
        return self.folder.with_suffix(".pdparams")

    def values(self) -> Values:
        """The values of every part."""
        path = self.folder / STATE
        text = read_bounded(path, int(limit("config_bytes")))
        form = _FlatStateFile if b'"parts"' not in text else _StateFile
        try:
            state = form.model_validate_json(text)
        except pydantic.ValidationError as error:
            raise not_a_state(error, str(path)) from None
        if state.epoch != self.epoch:
            raise WeightsError(
                f"{path} is the state of epoch {shown(state.epoch)}, not {self.epoch}"
            )
        return state.parts


class _Numbered(pydantic.BaseModel):
    epoch: EpochNumber


class _StateFile(_Numbered):
    parts: Values


class _FlatStateFile(_Numbered):
    model_config = pydantic.ConfigDict(allow_inf_nan=False)

    optimizer: str | None = None
    best: dict[str, float] = {}
    iterations: int = pydantic.Field(0, ge=0, le=2**62)
    next_step: EpochNumber = 0
    seed: int = pydantic.Field(0, ge=0, lt=2**63)
    freeze: str | None = None

    @property
    def parts(self) -> Values:
        """The same by parts; ``next_step`` is 0 after a whole epoch."""
        done = self.epoch - (self.next_step > 0)
        return {
            "model": {},
            "optimizer": {"kind": self.optimizer},
            "position": {"epoch": done, "step": self.next_step, "iterations": self.iterations},
            "best": dict(self.best),
            "run": {"seed": self.seed, "freeze": self.freeze},
        }
