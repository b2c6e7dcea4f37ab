"""Which state a training goes on from, by its recipe: the newest, that of an epoch, or a path."""

import logging
from collections.abc import Callable
from pathlib import Path

from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.tasks.old_checkpoint import OldCheckpoint
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.saved_state import SavedState, StateFolder
from paddlevideo.utils.errors import ConfigError, WeightsError

logger = logging.getLogger(__name__)

AUTO, LATEST = "auto", "latest"

# Gives every process the number of the main one.
Share = Callable[[int], int]


def state_to_resume(recipe: Recipe, checkpoints: Checkpoints) -> SavedState | None:
    """The state that a recipe names; None: training begins at the first step.

    Raises:
        ConfigError: the recipe names two, or wants to begin anew too.
        WeightsError: there is no such state, or none of those there can be used.
    """
    if recipe.resume is not None and recipe.resume_epoch:
        raise ConfigError(
            f"resume: {recipe.resume} and resume_epoch: {recipe.resume_epoch} are both given; "
            "leave one out"
        )
    if recipe.overwrite and recipe.resumes:
        raise ConfigError(
            "overwrite begins anew, and resume or resume_epoch goes on; leave one of them out"
        )
    if recipe.resume == AUTO or recipe.resume_epoch == LATEST:
        return _newest(checkpoints)
    if recipe.resume is not None:
        return _at(Path(recipe.resume), recipe.model_name)
    if recipe.resume_epoch:
        return checkpoints.of_epoch(int(recipe.resume_epoch))
    return None


def agreed(state: SavedState | None, checkpoints: Checkpoints, share: Share) -> SavedState | None:
    """The state of the main process, for one that looked by itself and may have found another."""
    code = 0
    if isinstance(state, StateFolder):
        code = 2 * state.iterations + 1
    elif isinstance(state, OldCheckpoint):
        code = 2 * state.epoch + 2
    main_code = share(code)
    if main_code == code:
        return state
    for each in checkpoints.states():
        number = each.iterations if isinstance(each, StateFolder) else -1
        epoch = each.epoch if isinstance(each, OldCheckpoint) else -1
        if main_code in (2 * number + 1, 2 * epoch + 2):
            return each
    raise WeightsError(
        f"{checkpoints.folder}: this process does not see the state that process 0 resumes from; "
        "output_dir must be a folder that all machines share"
    )


def _newest(checkpoints: Checkpoints) -> SavedState | None:
    state = checkpoints.newest_valid()
    if state is None and checkpoints.states():
        raise WeightsError(
            f"{checkpoints.folder}: none of its states can be used; the log says why. --overwrite "
            "removes the run and begins anew"
        )
    return state


def _at(path: Path, name: str) -> SavedState:
    """The state in a folder of that name, or the newest valid one of a run's folder."""
    path = path.absolute()
    owner = path.name.rpartition("_step_")[0] or path.name.rpartition("_epoch_")[0]
    if path.suffix == ".state" and owner:
        for state in Checkpoints(path.parent, owner).states():
            if state.folder == path:
                return state
    if not path.is_dir():
        raise WeightsError(f"cannot resume from {path}: no such folder")
    newest = Checkpoints(path, name).newest_valid()
    if newest is None:
        raise WeightsError(
            f"cannot resume from {path}: it is neither a state nor a run's folder with a valid "
            f"state of model_name {name}"
        )
    return newest
