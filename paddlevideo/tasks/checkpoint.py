"""Weights for users, and the training state from which a run goes on.

``<name>_epoch_00010.pdparams`` holds the weights. Beside it, the folder
``<name>_epoch_00010.state`` holds ``<part>.safetensors`` with the arrays of each other part of the
training, ``state.json`` with their values and, written last, ``manifest.json`` with size and
SHA-256 of every file of the checkpoint, the weights included. A checkpoint without a valid manifest
is not used.
"""

import glob
import json
import logging
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from paddle import nn

from paddlevideo.tasks.stateful import State, Stateful, arrays_of, values_of
from paddlevideo.tasks.training_state import read_state
from paddlevideo.utils.damage import read_bounded, shown
from paddlevideo.utils.errors import NonFiniteError, WeightsError
from paddlevideo.utils.files import sha256_of, write_json
from paddlevideo.utils.limits import limit
from paddlevideo.weights import model_arrays, read_weights, write_weights
from paddlevideo.weights.fit import unusable_arrays

logger = logging.getLogger(__name__)

Parts = Mapping[str, Stateful]

MODEL, OPTIMIZER = "model", "optimizer"  # parts that every checkpoint has arrays of
_ARRAYS, _STATE, _MANIFEST = ".safetensors", "state.json", "manifest.json"
_ARRAYS_FILE = re.compile(r"(\w+)\.safetensors", re.ASCII)
_KEPT_STATES = 2


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: the run's folder.
        name: the model's name, the first part of every file.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name

    @property
    def best_weights(self) -> Path:
        """The weights of the epoch with the best validation result."""
        return self.folder / f"{self.name}_best.pdparams"

    def weights_of(self, epoch: int) -> Path:
        """The weights after ``epoch`` (from 1)."""
        return self.folder / f"{self.name}_epoch_{epoch:05d}.pdparams"

    def state_folder_of(self, epoch: int) -> Path:
        """The training state after ``epoch`` (from 1)."""
        return self.folder / f"{self.name}_epoch_{epoch:05d}.state"

    @staticmethod
    def check_finite(parts: Parts) -> None:
        """Raise `NonFiniteError` if a weight or a value of another part is not finite."""
        for part in parts.values():
            _finite(arrays_of(part.state_dict()))

    def save_best(self, model: nn.Layer) -> None:
        """Write the weights as the best ones.

        Raises:
            NonFiniteError: one of them is not finite; the best weights so far stay.
        """
        write_weights(self.best_weights, _finite(model_arrays(model)))

    def save(self, epoch: int, parts: Parts) -> None:
        """Write weights and training state after ``epoch``; drop the state of older epochs.

        Raises:
            NonFiniteError: a weight or a value of another part is not finite; nothing is written.
        """
        states = {name: part.state_dict() for name, part in parts.items()}
        arrays = {name: _finite(arrays_of(state)) for name, state in states.items()}
        folder = self.state_folder_of(epoch)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MANIFEST).unlink(missing_ok=True)
        for old_file in folder.glob(f"*{_ARRAYS}"):  # of a part that is no more
            old_file.unlink()
        files = {MODEL: self.weights_of(epoch), OPTIMIZER: folder / f"{OPTIMIZER}{_ARRAYS}"}
        files |= {n: folder / f"{n}{_ARRAYS}" for n, own in arrays.items() if own and n != MODEL}
        for name, path in files.items():
            write_weights(path, arrays[name])
        values = {name: values_of(state) for name, state in states.items()}
        write_json(folder / _STATE, {"epoch": epoch, "parts": values})
        manifest = {
            path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
            for path in (*files.values(), folder / _STATE)
        }
        write_json(folder / _MANIFEST, manifest)
        for old in self._saved_epochs()[:-_KEPT_STATES]:
            shutil.rmtree(self.state_folder_of(old), ignore_errors=True)

    def load(self, epoch: int, parts: Parts) -> None:
        """Restore every part as it was after ``epoch``; all are checked before one is changed.

        Raises:
            WeightsError: there is no such checkpoint, it is incomplete or altered, or a part
                refuses its state.
        """
        problem = self._problem(epoch)
        if problem:
            raise WeightsError(f"cannot resume after epoch {epoch}: {problem}")
        try:
            states = self._read(epoch)
            known = {name: part for name, part in parts.items() if name in states}
            for name, part in parts.items():
                if name not in known and not part.may_begin_anew:
                    raise WeightsError(f"{self.state_folder_of(epoch)}: it has no part {name}")
            for name, part in known.items():
                part.check_state(states[name], self._source_of(name, epoch))
        except (NonFiniteError, WeightsError) as error:
            raise WeightsError(f"cannot resume after epoch {epoch}: {error}") from None
        anew = [name for name in parts if name not in known]
        if anew:
            logger.info("the checkpoint has no state of %s: begun anew", ", ".join(anew))
        for name, part in known.items():
            part.load_state_dict(states[name], self._source_of(name, epoch))

    def _read(self, epoch: int) -> dict[str, State]:
        """Arrays and values of every part of a checkpoint."""
        states: dict[str, State] = dict(read_state(self.state_folder_of(epoch) / _STATE, epoch))
        for name, path in self._array_files(epoch, self._manifest(epoch)).items():
            try:
                arrays = _finite(read_weights(path))
            except NonFiniteError as error:
                raise WeightsError(f"{path}: {error}") from None
            states[name] = {**states.get(name, {}), **arrays}
        return states

    def _source_of(self, part: str, epoch: int) -> str:
        folder = self.state_folder_of(epoch)
        return str(self.weights_of(epoch) if part == MODEL else folder / f"{part}{_ARRAYS}")

    def last_good(self) -> Path | None:
        """The newest weights to go on from: those of the last epoch, else the best; None: none."""
        epoch = self.newest_valid()
        if epoch:
            return self.weights_of(epoch)
        try:
            _finite(read_weights(self.best_weights))
        except (NonFiniteError, WeightsError):
            return None
        return self.best_weights

    def newest_valid(self) -> int:
        """The last epoch whose checkpoint is complete and unaltered; 0 if there is none."""
        for epoch in reversed(self._saved_epochs()):
            problem = self._problem(epoch) or self._non_finite(epoch)
            if not problem:
                return epoch
            logger.warning("checkpoint of epoch %d is passed over: %s", epoch, problem)
        return 0

    def _non_finite(self, epoch: int) -> str:
        """Why a complete checkpoint is of no use: it was saved after training had diverged."""
        try:
            for path in self._array_files(epoch, self._manifest(epoch)).values():
                _finite(read_weights(path))
        except (NonFiniteError, WeightsError) as error:
            return str(error)
        return ""

    def _saved_epochs(self) -> list[int]:
        found = self.folder.glob(f"{glob.escape(self.name)}_epoch_*.state")
        numbers = (path.stem.rpartition("_")[2] for path in found)
        return sorted(int(number) for number in numbers if number.isdecimal())

    def _manifest(self, epoch: int) -> dict[str, tuple[int, str]]:
        """Size and SHA-256 of the files of a checkpoint, by name.

        Raises:
            WeightsError: there is no manifest, or it does not list the files of a checkpoint.
        """
        path = self.state_folder_of(epoch) / _MANIFEST
        try:
            content = json.loads(read_bounded(path, int(limit("config_bytes"))))
            files = {name: (content[name]["size"], content[name]["sha256"]) for name in content}
        except (WeightsError, ValueError, TypeError, LookupError, RecursionError):
            raise WeightsError(f"{path} is missing or unreadable") from None
        least = {self.weights_of(epoch).name, f"{OPTIMIZER}{_ARRAYS}", _STATE}
        if not least <= set(files) or not all(map(_ARRAYS_FILE.fullmatch, set(files) - least)):
            raise WeightsError(f"{path} does not list the files of this checkpoint")
        return files

    def _array_files(self, epoch: int, names: Iterable[str]) -> dict[str, Path]:
        """The files of arrays among those of a manifest, by part."""
        folder, matches = self.state_folder_of(epoch), map(_ARRAYS_FILE.fullmatch, names)
        return {m[1]: folder / m[0] for m in matches if m} | {MODEL: self.weights_of(epoch)}

    def _problem(self, epoch: int) -> str:
        """Why the checkpoint cannot be used; empty if it can."""
        try:
            entries = self._manifest(epoch)
        except WeightsError as error:
            return str(error)
        weights, folder = self.weights_of(epoch), self.state_folder_of(epoch)
        for name, entry in entries.items():
            path = weights if name == weights.name else folder / name
            if not path.is_file():
                return f"{path} is missing"
            try:
                found = (path.stat().st_size, sha256_of(path))
            except OSError as error:
                return f"{path} cannot be read: {error.strerror}"
            if found != entry:
                return f"{path} is not the file that was written"
        return self._problem_of_weights(epoch)

    def _problem_of_weights(self, epoch: int) -> str:
        """Why files that are as they were written are of no use: the run had diverged."""
        path = self.weights_of(epoch)
        try:
            unusable = unusable_arrays(read_weights(path))
        except WeightsError as error:
            return str(error)
        return f"{path}: {shown(unusable[0])} makes every result NaN" if unusable else ""


def _finite(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return ``arrays`` if every number in them is finite; else `NonFiniteError` names one."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NonFiniteError(f"{name} holds numbers that are not finite")
    return arrays
