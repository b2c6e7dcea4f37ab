"""Which run a folder belongs to: ``run.json``, the lock of its process, and what may begin in it.

A folder holds one run. A training that begins anew where another run's states lie would mix with
it; it is refused, unless the user asks to go on with it or to remove it.
"""

import glob
import logging
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydantic

from paddlevideo.tasks.metrics_history import holds_epochs
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.run_folder import (
    BAD_SAMPLES_NAME,
    CONFIG_NAME,
    ENVIRONMENT_NAME,
    METRICS_NAME,
    TEST_CONFIG_NAME,
)
from paddlevideo.utils.errors import ConfigError, WeightsError
from paddlevideo.utils.files import write_json
from paddlevideo.utils.locks import FileLock
from paddlevideo.utils.text_files import read_json

logger = logging.getLogger(__name__)

RUN_NAME = "run.json"
LOCK_NAME = "run.lock"
_GO_ON = "go on with it (--resume auto, config key resume: auto), remove it"
_OWN_FILES = (
    RUN_NAME, METRICS_NAME, BAD_SAMPLES_NAME, CONFIG_NAME, TEST_CONFIG_NAME, ENVIRONMENT_NAME,
)  # fmt: skip


class RunRecord(pydantic.BaseModel):
    """``run.json``.

    Attributes:
        run: the run's id, which every line of its metrics carries.
        started: local time.
        name: of the model, the first part of the files' names.
        config: digest of the resolved config.
        continues: the state of another folder that it began from; None: it has none.
    """

    run: str
    started: str
    name: str
    config: str
    continues: str | None = None

    @classmethod
    def new(cls, name: str, config: str, continues: str | None = None) -> "RunRecord":
        """A run that begins now."""
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(
            run=secrets.token_hex(6), started=started, name=name, config=config,
            continues=continues,
        )  # fmt: skip


def read_record(folder: Path) -> RunRecord | None:
    """The record of the run in a folder; None: there is none, as of earlier versions."""
    path = folder / RUN_NAME
    if not path.is_file():
        return None
    try:
        return RunRecord.model_validate(read_json(path, f"the record {path}", WeightsError))
    except (pydantic.ValidationError, WeightsError) as error:
        logger.warning("%s is passed over: %s", path, str(error).splitlines()[0])
        return None


def write_record(folder: Path, record: RunRecord) -> None:
    """Write the record of the run."""
    write_json(folder / RUN_NAME, record.model_dump())


def lock_of(folder: Path) -> FileLock:
    """The lock that the main process of a training holds."""
    return FileLock(
        folder / LOCK_NAME,
        "is training in this folder; wait for it, end it, or give another output_dir",
    )


def remains(folder: Path, name: str) -> list[Path]:
    """What a run has left that must not be mixed with another: weights, states, metrics."""
    own = glob.escape(name)
    patterns = ("*_step_*.state", "*_epoch_*.state", f"{own}_epoch_*.pdparams",
                f"{own}_best.pdparams")  # fmt: skip
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    if holds_epochs(folder):
        found.append(folder / METRICS_NAME)
    return found


def begin_anew(folder: Path, recipe: Recipe) -> None:
    """Make room for a new run, or refuse.

    Raises:
        ConfigError: the folder holds another run, and ``overwrite`` is not asked for.
    """
    name = recipe.model_name
    found = remains(folder, name)
    if recipe.resumes:  # there was no state: what it did is done again, but for its best weights
        found = [path for path in found if path.name == f"{name}_best.pdparams"]
    if recipe.overwrite:
        record = read_record(folder)
        _remove_run(folder, {name, record.name if record else name})
    elif found:
        how = "it has no state to go on from; remove it" if recipe.resumes else _GO_ON
        raise ConfigError(refusal(folder, found, how))
    else:  # what saved nothing is no run
        (folder / RUN_NAME).unlink(missing_ok=True)


def refusal(folder: Path, found: list[Path], how: str = _GO_ON) -> str:
    """The message about a folder that holds another run.

    Args:
        found: what of it lies there.
        how: to go on with it, or why not.
    """
    record = read_record(folder)
    which = f"run {record.run} of {record.started}" if record else "another run"
    return (
        f"{folder} holds {which} ({', '.join(path.name for path in found[:3])}"
        f"{', ...' if len(found) > 3 else ''}): {how} (--overwrite, config key overwrite: true), "
        "or give another output_dir"
    )


def check_start(recipe: Recipe) -> None:
    """Refuse early, before anything is built, what would be refused when training begins.

    Raises:
        ConfigError: the folder holds another run, or another process trains in it.
    """
    folder = recipe.run_folder
    if not folder.is_dir():
        return
    if (folder / LOCK_NAME).exists():
        with lock_of(folder):
            pass
    found = remains(folder, recipe.model_name)
    if found and not (recipe.overwrite or recipe.resumes):
        raise ConfigError(refusal(folder, found))


@contextmanager
def held(folder: Path, is_main: bool) -> Iterator[None]:
    """Hold the folder's lock, in the main process."""
    if not is_main:
        yield
        return
    with lock_of(folder):
        yield


def _remove_run(folder: Path, names: set[str]) -> None:
    """Remove the files that a run has written, and no others."""
    paths = [folder / name for name in _OWN_FILES]
    for name in names:
        own = glob.escape(name)
        patterns = ("_epoch_*.pdparams", "_best.pdparams", "_best.json", "_epoch_*.state",
                    "_step_*.state", "_step_*.state.*")  # fmt: skip
        paths += [path for each in patterns for path in folder.glob(f"{own}{each}")]
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
    logger.info("overwrite: the run that was in %s is removed", folder)
