"""Weights for users, and the training state from which a run goes on.

``<name>_epoch_00010.pdparams`` holds the weights. Beside it, the folder
``<name>_epoch_00010.state`` holds ``optimizer.safetensors``, ``state.json`` and, written last,
``manifest.json`` with size and SHA-256 of every file of the checkpoint, the weights included.
A checkpoint without a valid manifest is not used. Optimizer state is keyed by structural
parameter names, so it does not depend on what else was built in the process.
"""

import glob
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

from paddlevideo.tasks.training_state import TrainingState, read_state
from paddlevideo.utils.damage import damage_of, read_bounded, shown
from paddlevideo.utils.errors import NonFiniteError, WeightsError
from paddlevideo.utils.files import sha256_of, write_json
from paddlevideo.utils.limits import limit
from paddlevideo.weights import (
    check_arrays,
    load_arrays,
    model_arrays,
    read_weights,
    write_weights,
)
from paddlevideo.weights.fit import unusable_arrays

logger = logging.getLogger(__name__)

_OPTIMIZER, _STATE, _MANIFEST = "optimizer.safetensors", "state.json", "manifest.json"
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

    def check_finite(self, model: nn.Layer, optimizer: Any) -> None:
        """Raise `NonFiniteError` if a weight, a statistic or an optimizer value is not finite."""
        _finite(model_arrays(model))
        _finite(optimizer_arrays(optimizer, model))

    def save_best(self, model: nn.Layer) -> None:
        """Write the weights as the best ones.

        Raises:
            NonFiniteError: one of them is not finite; the best weights so far stay.
        """
        write_weights(self.best_weights, _finite(model_arrays(model)))

    def save(self, epoch: int, model: nn.Layer, optimizer: Any, state: Mapping[str, Any]) -> None:
        """Write weights and training state after ``epoch``; drop the state of older epochs.

        Raises:
            NonFiniteError: a weight or a value of the optimizer is not finite; nothing is written.
        """
        model_state = _finite(model_arrays(model))
        optimizer_state = _finite(optimizer_arrays(optimizer, model))
        weights, folder = self.weights_of(epoch), self.state_folder_of(epoch)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MANIFEST).unlink(missing_ok=True)
        write_weights(weights, model_state)
        write_weights(folder / _OPTIMIZER, optimizer_state)
        kind = type(optimizer).__name__
        write_json(folder / _STATE, {"epoch": epoch, "optimizer": kind, **state})
        manifest = {
            name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
            for name, path in self._files_of(epoch).items()
        }
        write_json(folder / _MANIFEST, manifest)
        for old in self._saved_epochs()[:-_KEPT_STATES]:
            shutil.rmtree(self.state_folder_of(old), ignore_errors=True)

    def load(
        self, epoch: int, model: nn.Layer, optimizer: Any, freeze: str | None = None
    ) -> TrainingState:
        """Restore ``model`` and ``optimizer`` as they were after ``epoch``; return the state.

        Args:
            freeze: the frozen part of the model, for which the optimizer has no state.

        Raises:
            WeightsError: there is no such checkpoint, it is incomplete or altered, or its state is
                that of another optimizer or another frozen part.
        """
        problem = self._problem(epoch)
        if problem:
            raise WeightsError(f"cannot resume after epoch {epoch}: {problem}")
        folder, weights = self.state_folder_of(epoch), self.weights_of(epoch)
        state = read_state(folder / _STATE, epoch)
        written, ours = state.optimizer, type(optimizer).__name__
        if written not in (None, ours):  # Paddle would start from zero without a word
            raise WeightsError(
                f"cannot resume after epoch {epoch}: {folder} has the state of another optimizer, "
                f"{written}, and OPTIMIZER is {ours}; to go on from the weights alone use -w"
            )
        if state.freeze != freeze:
            raise WeightsError(
                f"cannot resume after epoch {epoch}: it was trained with freeze: "
                f"{state.freeze}, and now freeze is {freeze}; to go on from the weights "
                "alone use -w"
            )
        try:
            saved, arrays = (
                _finite(read_weights(weights)),
                _finite(read_weights(folder / _OPTIMIZER)),
            )
        except NonFiniteError as error:
            raise WeightsError(f"cannot resume after epoch {epoch}: {folder}: {error}") from None
        source = str(folder / _OPTIMIZER)
        check_arrays(model, saved, str(weights))  # all is checked before anything is changed
        optimizer_state = optimizer_state_of(model, arrays, source)
        load_arrays(model, saved, str(weights))
        with damage_of(source, "the state of this optimizer"):
            optimizer.set_state_dict(optimizer_state)
        return state

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
            _finite(read_weights(self.weights_of(epoch)))
            _finite(read_weights(self.state_folder_of(epoch) / _OPTIMIZER))
        except (NonFiniteError, WeightsError) as error:
            return str(error)
        return ""

    def _saved_epochs(self) -> list[int]:
        found = self.folder.glob(f"{glob.escape(self.name)}_epoch_*.state")
        numbers = (path.stem.rpartition("_")[2] for path in found)
        return sorted(int(number) for number in numbers if number.isdecimal())

    def _files_of(self, epoch: int) -> dict[str, Path]:
        """The files that the manifest vouches for."""
        weights, folder = self.weights_of(epoch), self.state_folder_of(epoch)
        return {weights.name: weights, _OPTIMIZER: folder / _OPTIMIZER, _STATE: folder / _STATE}

    def _problem(self, epoch: int) -> str:
        """Why the checkpoint cannot be used; empty if it can."""
        path = self.state_folder_of(epoch) / _MANIFEST
        try:
            manifest = json.loads(read_bounded(path, int(limit("config_bytes"))))
            facts = {name: (manifest[name]["size"], manifest[name]["sha256"]) for name in manifest}
        except (WeightsError, ValueError, TypeError, LookupError, RecursionError):
            return f"{path} is missing or unreadable"
        files = self._files_of(epoch)
        if set(facts) != set(files):
            return f"{path} does not list the files of this checkpoint"
        for name, path in files.items():
            if not path.is_file():
                return f"{path} is missing"
            try:
                found = (path.stat().st_size, sha256_of(path))
            except OSError as error:
                return f"{path} cannot be read: {error.strerror}"
            if found != facts[name]:
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


def optimizer_arrays(optimizer: Any, model: nn.Layer) -> dict[str, np.ndarray]:
    """The optimizer's accumulators as ``{parameter/accumulator: array}``, structural names."""
    structural = {parameter.name: name for name, parameter in model.named_parameters()}
    arrays = {}
    for key, value in optimizer.state_dict().items():
        owner = _owner_of(key, structural)
        if owner is not None and isinstance(value, paddle.Tensor):
            arrays[f"{structural[owner]}/{key[len(owner) + 1 :]}"] = value.numpy()
    return arrays


def optimizer_state_of(
    model: nn.Layer, arrays: Mapping[str, np.ndarray], source: str
) -> dict[str, Any]:
    """The state for ``optimizer.set_state_dict`` from what `optimizer_arrays` took.

    Raises:
        WeightsError: an entry belongs to no parameter of the model, has another shape, or holds
            what is no finite number.
    """
    generated = dict(model.named_parameters())
    state = {}
    for key, array in arrays.items():
        name, _, accumulator = key.partition("/")
        if name not in generated:
            raise WeightsError(f"{source}: the model has no parameter {shown(name)}")
        if array.dtype.kind not in "fiu" or unusable_arrays({key: array}):
            raise WeightsError(f"{source}: {shown(key)} is not of finite numbers")
        # One number for each of the parameter's, or one for the whole (a power of Adam's betas).
        if list(array.shape) != generated[name].shape and array.size != 1:
            raise WeightsError(f"{source}: {shown(key)} has the shape {shown(array.shape)}")
        state[f"{generated[name].name}_{accumulator}"] = paddle.to_tensor(array)
    return state


def _owner_of(key: str, names: Mapping[str, str]) -> str | None:
    """The parameter whose generated name is the longest that ``key`` begins with."""
    candidates = [name for name in names if key.startswith(f"{name}_")]
    return max(candidates, key=len, default=None)
