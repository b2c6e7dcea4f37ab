"""``state.json``: the JSON values of every part of the training, by the part's name.

::

    {"epoch": 3, "parts": {"position": {"epoch": 3, "step": 0, "iterations": 600}, ...}}

Earlier versions wrote one flat mapping, ``{"epoch": 3, "iterations": 600, "best": {...}, ...}``; it
is read as the same parts.
"""

from pathlib import Path

import pydantic
from pydantic import JsonValue

from paddlevideo.tasks.stateful import not_a_state
from paddlevideo.utils.damage import read_bounded
from paddlevideo.utils.errors import WeightsError, shown
from paddlevideo.utils.limits import limit
from paddlevideo.utils.ranges import EpochNumber

Parts = dict[str, dict[str, JsonValue]]


class _Numbered(pydantic.BaseModel):
    epoch: EpochNumber


class _StateFile(_Numbered):
    parts: Parts


class _FlatStateFile(_Numbered):
    model_config = pydantic.ConfigDict(allow_inf_nan=False)

    optimizer: str | None = None
    best: dict[str, float] = {}
    iterations: int = pydantic.Field(0, ge=0, le=2**62)
    next_step: EpochNumber = 0
    seed: int = pydantic.Field(0, ge=0, lt=2**63)
    freeze: str | None = None

    @property
    def parts(self) -> Parts:
        """The same by parts; ``next_step`` is 0 after a whole epoch."""
        done = self.epoch - (self.next_step > 0)
        return {
            "model": {},
            "optimizer": {"kind": self.optimizer},
            "position": {"epoch": done, "step": self.next_step, "iterations": self.iterations},
            "best": dict(self.best),
            "run": {"seed": self.seed, "freeze": self.freeze},
        }


def read_state(path: Path, epoch: int) -> Parts:
    """Read the values of all parts after ``epoch``.

    Raises:
        WeightsError: the file cannot be read, is not of this form, or is that of another epoch.
    """
    text = read_bounded(path, int(limit("config_bytes")))
    form = _FlatStateFile if b'"parts"' not in text else _StateFile
    try:
        state = form.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise not_a_state(error, str(path)) from None
    if state.epoch != epoch:
        raise WeightsError(f"{path} is the state of epoch {shown(state.epoch)}, not {epoch}")
    return state.parts
