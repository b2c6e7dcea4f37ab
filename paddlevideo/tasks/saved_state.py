"""One saved state of a training: what it holds, whether it is whole, and how it is written.

``<name>_step_000001234.state`` is a folder with ``<part>.safetensors`` for the arrays of each part
of the training (the model's weights too), ``state.json`` with their values and, written last,
``manifest.json`` with size and SHA-256 of every file. It is written under a name that ends in
``.tmp`` and renamed: what has the final name is complete.
"""

import json
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pydantic
from pydantic import JsonValue

from paddlevideo.tasks.stateful import State, Stateful, arrays_of, not_a_state, values_of
from paddlevideo.utils.damage import read_bounded, shown
from paddlevideo.utils.errors import NonFiniteError, WeightsError
from paddlevideo.utils.files import sha256_of, sync_folder, write_json
from paddlevideo.utils.limits import limit
from paddlevideo.weights import read_weights, write_weights
from paddlevideo.weights.fit import unusable_arrays

Parts = Mapping[str, Stateful]
Values = dict[str, dict[str, JsonValue]]

MODEL, OPTIMIZER = "model", "optimizer"  # parts that every state has arrays of
ARRAYS, STATE, MANIFEST = ".safetensors", "state.json", "manifest.json"
TEMPORARY = ".tmp"
_REPLACED = f".replaced{TEMPORARY}"
_ARRAYS_FILE = re.compile(r"(\w+)\.safetensors", re.ASCII)


@dataclass(frozen=True)
class Snapshot:
    """A copy of every part of a training at one moment.

    Attributes:
        iterations: steps of the whole run so far.
        arrays: of each part, by the part's name.
        values: JSON values of each part.
    """

    iterations: int
    arrays: Mapping[str, Mapping[str, np.ndarray]]
    values: Values

    @classmethod
    def of(cls, iterations: int, parts: Parts) -> "Snapshot":
        """Copy the parts."""
        states = {name: part.state_dict() for name, part in parts.items()}
        return cls(
            iterations,
            {name: arrays_of(state) for name, state in states.items()},
            {name: values_of(state) for name, state in states.items()},
        )


class SavedState(ABC):
    """A state on the disk.

    Attributes:
        folder: of its manifest.
        title: what a message calls it.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self.folder = folder
        self.title = title

    @property
    @abstractmethod
    def weights(self) -> Path:
        """The file of the model's weights."""

    @abstractmethod
    def values(self) -> Values:
        """The values of every part; `WeightsError` if they cannot be read."""

    def source_of(self, part: str) -> str:
        """The file of a part's arrays, for messages."""
        return str(self.weights if part == MODEL else self.folder / f"{part}{ARRAYS}")

    @cached_property
    def position(self) -> tuple[int, int]:
        """The (epoch, step) that comes next, from 0; (-1, -1) where it cannot be read."""
        try:
            position = self.values().get("position", {})
        except WeightsError:
            return (-1, -1)
        epoch, step = position.get("epoch"), position.get("step")
        if isinstance(epoch, int) and isinstance(step, int):
            return epoch, step
        return (-1, -1)

    def problem(self) -> str:
        """Why it cannot be resumed from; empty if it can: it is whole, unaltered and finite."""
        try:
            for name, entry in self.manifest().items():
                path = self._path_of(name)
                if not path.is_file():
                    return f"{path} is missing"
                if (path.stat().st_size, sha256_of(path)) != entry:
                    return f"{path} is not the file that was written"
            for name, arrays in self._arrays().items():
                unusable = unusable_arrays(arrays) if name == MODEL else []
                if unusable:
                    return f"{self.weights}: {shown(unusable[0])} makes every result NaN"
        except WeightsError as error:
            return str(error)
        except OSError as error:
            return f"{error.filename or self.folder} cannot be read: {error.strerror}"
        return ""

    def read(self) -> dict[str, State]:
        """Arrays and values of every part.

        Raises:
            WeightsError: a file cannot be read, or holds what is not finite.
        """
        states: dict[str, State] = dict(self.values())
        for name, arrays in self._arrays().items():
            states[name] = {**states.get(name, {}), **arrays}
        return states

    def manifest(self) -> dict[str, tuple[int, str]]:
        """Size and SHA-256 of its files, by name.

        Raises:
            WeightsError: there is no manifest, or it does not list the files of a state.
        """
        path = self.folder / MANIFEST
        try:
            content = json.loads(read_bounded(path, int(limit("config_bytes"))))
            files = {name: (content[name]["size"], content[name]["sha256"]) for name in content}
        except (WeightsError, ValueError, TypeError, LookupError, RecursionError):
            raise WeightsError(f"{path} is missing or unreadable") from None
        least = {self.weights.name, f"{OPTIMIZER}{ARRAYS}", STATE}
        if not least <= set(files) or not all(map(_ARRAYS_FILE.fullmatch, set(files) - least)):
            raise WeightsError(f"{path} does not list the files of this checkpoint")
        return files

    def _path_of(self, name: str) -> Path:
        return self.weights if name == self.weights.name else self.folder / name

    def _arrays(self) -> dict[str, dict[str, np.ndarray]]:
        matches = map(_ARRAYS_FILE.fullmatch, self.manifest())
        paths = {m[1]: self._path_of(m[0]) for m in matches if m} | {MODEL: self.weights}
        return {name: _finite_of(path) for name, path in paths.items()}


class StateFolder(SavedState):
    """A state that holds everything in one folder.

    Args:
        folder: its final name.
        iterations: that the name says.
    """

    def __init__(self, folder: Path, iterations: int) -> None:
        super().__init__(folder, f"step {iterations}")
        self.iterations = iterations

    @property
    def weights(self) -> Path:
        """The file of the model's weights."""
        return self.folder / f"{MODEL}{ARRAYS}"

    def values(self) -> Values:
        """The values of every part."""
        path = self.folder / STATE
        try:
            state = _StateFile.model_validate_json(read_bounded(path, int(limit("config_bytes"))))
        except pydantic.ValidationError as error:
            raise not_a_state(error, str(path)) from None
        if state.iterations != self.iterations:
            raise WeightsError(f"{path} is the state of step {shown(state.iterations)}")
        return state.parts

    def write(self, snapshot: Snapshot) -> None:
        """Write it whole, or leave the disk as it was; one of the same step is replaced.

        Raises:
            NonFiniteError: something in it is not finite.
            OSError: it cannot be written.
        """
        for arrays in snapshot.arrays.values():
            finite(arrays)
        temporary = self.folder.with_name(f"{self.folder.name}{TEMPORARY}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            self._fill(temporary, snapshot)
            if self.folder.exists():
                # Two renames: a kill between them leaves the old one, which `recover` puts back.
                replaced = self.folder.with_name(f"{self.folder.name}{_REPLACED}")
                shutil.rmtree(replaced, ignore_errors=True)
                self.folder.rename(replaced)
                temporary.rename(self.folder)
                shutil.rmtree(replaced, ignore_errors=True)
            else:
                temporary.rename(self.folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync_folder(self.folder.parent)

    @staticmethod
    def _fill(folder: Path, snapshot: Snapshot) -> None:
        paths = []
        for name, arrays in snapshot.arrays.items():
            if arrays or name in (MODEL, OPTIMIZER):
                paths.append(folder / f"{name}{ARRAYS}")
                write_weights(paths[-1], arrays)
        paths.append(folder / STATE)
        write_json(paths[-1], {"iterations": snapshot.iterations, "parts": snapshot.values})
        manifest = {
            path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)} for path in paths
        }
        write_json(folder / MANIFEST, manifest)
        sync_folder(folder)


def recover(folder: Path) -> None:
    """Put back a state that was being replaced when the process was killed."""
    for replaced in folder.glob(f"*{_REPLACED}"):
        final = replaced.with_name(replaced.name.removesuffix(_REPLACED))
        if not final.exists():
            replaced.rename(final)


def finite(arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Return ``arrays`` if every number in them is finite; else `NonFiniteError` names one."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NonFiniteError(f"{name} holds numbers that are not finite")
    return arrays


def names_of(states: Iterable[SavedState]) -> str:
    """The titles of states, for a message."""
    return ", ".join(state.title for state in states) or "(none)"


def _finite_of(path: Path) -> dict[str, np.ndarray]:
    try:
        return dict(finite(read_weights(path)))
    except NonFiniteError as error:
        raise WeightsError(f"{path}: {error}") from None


class _StateFile(pydantic.BaseModel):
    iterations: int = pydantic.Field(ge=0, le=2**62)
    parts: Values
