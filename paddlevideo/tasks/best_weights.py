"""The best weights so far and their score, of which a kill leaves a pair that belongs together.

``<name>_best.pdparams`` holds the weights, for users. ``<name>_best.json`` says which result they
have: ``{"entries": [{"sha256": ..., "result": {"top1": ..., "epoch": ...}}]}``. While the weights
are replaced it has two entries, and the one whose digest is that of the file counts.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pydantic

from paddlevideo.tasks.saved_state import TEMPORARY, finite
from paddlevideo.utils.damage import read_bounded
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.files import sha256_of, sync_folder, write_json
from paddlevideo.utils.limits import limit
from paddlevideo.weights import write_weights
from paddlevideo.weights.files import PDPARAMS

logger = logging.getLogger(__name__)

Result = dict[str, float]


class _Entry(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(allow_inf_nan=False)

    sha256: str
    result: Result


class _Record(pydantic.BaseModel):
    entries: list[_Entry]


class BestWeights:
    """The best weights of a run.

    Args:
        folder: of the run.
        name: of the model, the first part of both files' names.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}_best{PDPARAMS}"
        self.record = folder / f"{name}_best.json"

    def write(self, arrays: Mapping[str, np.ndarray], result: Mapping[str, float]) -> None:
        """Write weights and result as one.

        Raises:
            NonFiniteError: one of the weights is not finite; the best so far stay.
            OSError: they cannot be written; the best so far stay.
        """
        finite(arrays)
        # Its name ends as that of weights, which is how their format is chosen.
        temporary = self.path.with_name(f"{self.path.stem}{TEMPORARY}{PDPARAMS}")
        try:
            write_weights(temporary, arrays)
            new = _Entry(sha256=sha256_of(temporary), result=dict(result))
            self._write_record([*self._agreeing(), new])
            temporary.replace(self.path)
            sync_folder(self.path.parent)
            self._write_record([new])
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def read(self) -> Result | None:
        """The result that the weights in the folder have; None: there are none, or no record."""
        agreeing = self._agreeing()
        return agreeing[-1].result if agreeing else None

    def copy_to(self, other: "BestWeights") -> bool:
        """Write the same pair elsewhere; return whether there is one."""
        agreeing = self._agreeing()
        if not agreeing:
            return False
        other._write_record(agreeing[-1:])
        temporary = other.path.with_name(f"{other.path.stem}{TEMPORARY}{PDPARAMS}")
        temporary.write_bytes(self.path.read_bytes())
        temporary.replace(other.path)
        return True

    def _agreeing(self) -> list[_Entry]:
        """The entries of the record whose weights are those in the folder."""
        if not self.path.is_file() or not self.record.is_file():
            return []
        try:
            text = read_bounded(self.record, int(limit("config_bytes")))
            entries = _Record.model_validate_json(text).entries
            found = sha256_of(self.path)
        except (pydantic.ValidationError, WeightsError, OSError):
            logger.warning("%s cannot be read: the best result is not known from it", self.record)
            return []
        return [entry for entry in entries if entry.sha256 == found]

    def _write_record(self, entries: list[_Entry]) -> None:
        write_json(self.record, {"entries": [entry.model_dump() for entry in entries]})
