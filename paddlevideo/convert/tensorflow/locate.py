"""Where a checkpoint is: a prefix, one of its files, its folder, or a SavedModel."""

import re
from pathlib import Path

from paddlevideo.utils.damage import damage_of, read_bounded, shown
from paddlevideo.utils.errors import WeightsError

INDEX = ".index"
_DATA_FILE = re.compile(r"\.data-\d{5}-of-\d{5}$")
_STATE_FILE = "checkpoint"
_LONGEST_STATE_BYTES = 1_000_000
_SAVED_MODEL = Path("variables", "variables")


def find_prefix(path: str | Path) -> Path:
    """Return the prefix of the checkpoint that ``path`` names; ``<prefix>.index`` exists.

    Args:
        path: a prefix, an ``.index`` or ``.data-...`` file, a folder with a ``checkpoint`` file
            (its newest is taken) or with one checkpoint, or the folder of a SavedModel.

    Raises:
        WeightsError: there is none, or several and nothing says which.
    """
    path = Path(path)
    with damage_of(path, "the location of a checkpoint"):
        return _find(path)


def _find(path: Path) -> Path:
    if path.is_dir():
        return _in_folder(path)
    name = _DATA_FILE.sub("", path.name.removesuffix(INDEX))
    prefix = path.with_name(name)
    if _index_of(prefix).is_file():
        return prefix
    if path.is_file() and not _DATA_FILE.search(path.name):
        raise WeightsError(
            f"{path}: not a TensorFlow checkpoint; expected a prefix with PREFIX.index and "
            "PREFIX.data-?????-of-?????, the .index file, a folder of these, or a SavedModel folder"
        )
    raise WeightsError(f"no TensorFlow checkpoint at {path}: {_index_of(prefix)} does not exist")


def _index_of(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + INDEX)


def _in_folder(folder: Path) -> Path:
    saved_model = folder / _SAVED_MODEL
    if _index_of(saved_model).is_file():
        return saved_model
    newest = _named_in_state_file(folder)
    if newest is not None:
        return newest
    found = sorted(folder.glob(f"*{INDEX}"))
    if len(found) == 1:
        return found[0].with_name(found[0].name.removesuffix(INDEX))
    if not found:
        raise WeightsError(
            f"{folder} holds no TensorFlow checkpoint: no {INDEX} file and no {_SAVED_MODEL}{INDEX}"
        )
    names = ", ".join(file.name.removesuffix(INDEX) for file in found)
    raise WeightsError(f"{folder} holds {len(found)} checkpoints; name one of {names}")


def _named_in_state_file(folder: Path) -> Path | None:
    """What the file ``checkpoint``, a line of text, names as the newest."""
    state_file = folder / _STATE_FILE
    if not state_file.is_file():
        return None
    text = read_bounded(state_file, _LONGEST_STATE_BYTES).decode("utf-8", errors="replace")
    named = re.search(r'^model_checkpoint_path:\s*"([^"]+)"', text, re.MULTILINE)
    if named is None:
        raise WeightsError(f"{state_file} names no model_checkpoint_path")
    # An absolute path is that of the machine where it was written.
    for prefix in (folder / named[1], folder / Path(named[1]).name):
        if _index_of(prefix).is_file():
            return prefix
    raise WeightsError(f"{state_file} names {shown(named[1])}, which is not in {folder}")
