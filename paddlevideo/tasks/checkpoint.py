"""The files of a run from which it goes on, and the weights for users.

States (`saved_state`) are named by step and the last of them are kept. Beside them lie weights for
users: ``<name>_epoch_00010.pdparams``, and the best ones (`best_weights`). Checkpoints of earlier
versions (`old_checkpoint`) are read too.
"""

import glob
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from paddlevideo.tasks.best_weights import BestWeights
from paddlevideo.tasks.old_checkpoint import OldCheckpoint
from paddlevideo.tasks.saved_state import (
    TEMPORARY,
    Parts,
    SavedState,
    Snapshot,
    StateFolder,
    finite,
    names_of,
    recover,
)
from paddlevideo.utils.errors import NonFiniteError, WeightsError
from paddlevideo.weights import read_weights, write_weights

logger = logging.getLogger(__name__)

_STATE_FOLDER = re.compile(r"_(step|epoch)_(\d+)\.state", re.ASCII)


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: the run's folder.
        name: the model's name, the first part of every file.
        keep: states that are kept, the newest ones.
    """

    def __init__(self, folder: Path, name: str, keep: int = 2) -> None:
        self.folder = folder
        self.name = name
        self.keep = keep
        self.best = BestWeights(folder, name)

    @property
    def best_weights(self) -> Path:
        """The weights of the epoch with the best validation result."""
        return self.best.path

    def weights_of(self, epoch: int) -> Path:
        """The weights after ``epoch`` (from 1)."""
        return self.folder / f"{self.name}_epoch_{epoch:05d}.pdparams"

    def state_folder_of(self, iterations: int) -> Path:
        """The training state after so many steps."""
        return self.folder / f"{self.name}_step_{iterations:09d}.state"

    def save_weights(self, epoch: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write the weights after ``epoch`` for users; `NonFiniteError`, and none are written."""
        write_weights(self.weights_of(epoch), finite(arrays))

    def save(self, snapshot: Snapshot) -> None:
        """Write a state, then drop those that are older than the last `keep`.

        Raises:
            NonFiniteError: something in it is not finite; nothing is written.
            OSError: it cannot be written; nothing of it stays.
        """
        iterations = snapshot.iterations
        StateFolder(self.state_folder_of(iterations), iterations).write(snapshot)
        for old in self.states()[: -self.keep]:
            shutil.rmtree(old.folder, ignore_errors=True)

    def load(self, state: SavedState, parts: Parts) -> None:
        """Restore every part; all are checked before one is changed.

        Raises:
            WeightsError: it is incomplete or altered, or a part refuses its state.
        """
        problem = state.problem()
        if problem:
            raise WeightsError(f"cannot resume after {state.title}: {problem}")
        try:
            states = state.read()
            known = {name: part for name, part in parts.items() if name in states}
            for name, part in parts.items():
                if name not in known and not part.may_begin_anew:
                    raise WeightsError(f"{state.folder}: it has no part {name}")
            for name, part in known.items():
                part.check_state(states[name], state.source_of(name))
        except WeightsError as error:
            raise WeightsError(f"cannot resume after {state.title}: {error}") from None
        anew = [name for name in parts if name not in known]
        if anew:
            logger.info("the checkpoint has no state of %s: begun anew", ", ".join(anew))
        for name, part in known.items():
            part.load_state_dict(states[name], state.source_of(name))

    def states(self) -> list[SavedState]:
        """All states, the newest last; those of earlier versions are older than the others."""
        old: list[OldCheckpoint] = []
        new: list[StateFolder] = []
        for path in self.folder.glob(f"{glob.escape(self.name)}_*.state"):
            match = _STATE_FOLDER.fullmatch(path.name[len(self.name) :])
            if match and match[1] == "step":
                new.append(StateFolder(path, int(match[2])))
            elif match:
                old.append(OldCheckpoint(path, int(match[2])))
        old.sort(key=lambda state: state.epoch)
        new.sort(key=lambda state: state.iterations)
        return [*old, *new]

    def newest_valid(self) -> SavedState | None:
        """The newest state that is complete, unaltered and finite; None if there is none."""
        for state in reversed(self.states()):
            problem = state.problem()
            if not problem:
                return state
            logger.warning("checkpoint of %s is passed over: %s", state.title, problem)
        return None

    def of_epoch(self, epoch: int) -> SavedState:
        """The state at the end of ``epoch`` (from 1).

        Raises:
            WeightsError: there is none.
        """
        states = self.states()
        for state in reversed(states):
            by_name = isinstance(state, OldCheckpoint) and state.epoch == epoch
            if by_name or state.position == (epoch, 0):
                return state
        raise WeightsError(
            f"cannot resume after epoch {epoch}: {self.folder} has no state of its end; it has "
            f"{names_of(states)}"
        )

    def last_good(self) -> Path | None:
        """The newest weights to go on from: of the last state, else the best; None: none."""
        state = self.newest_valid()
        if state is not None:
            return state.weights
        try:
            finite(read_weights(self.best_weights))
        except (NonFiniteError, WeightsError):
            return None
        return self.best_weights

    def sweep(self) -> None:
        """Remove what a killed process left half-written, after putting back what was whole."""
        recover(self.folder)
        own = glob.escape(self.name)
        patterns = (f"{own}_*{TEMPORARY}", f"{own}_best{TEMPORARY}.pdparams", f".*{TEMPORARY}")
        for path in (path for pattern in patterns for path in self.folder.glob(pattern)):
            logger.info("%s is removed: it was never written whole", path.name)
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def drop_after(self, state: SavedState) -> None:
        """Remove the states that are newer than ``state``, from which the run goes on."""
        states = self.states()
        folders = [each.folder for each in states]
        if state.folder not in folders:
            return
        for newer in states[folders.index(state.folder) + 1 :]:
            logger.info("the state of %s is dropped: the run goes on before it", newer.title)
            shutil.rmtree(newer.folder, ignore_errors=True)
