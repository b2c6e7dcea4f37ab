"""The length of the learning-rate schedule: that of the run, unless it is set."""

import logging
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from paddlevideo.utils.nodes import Node, ReadNode

logger = logging.getLogger(__name__)

_PATH = "OPTIMIZER.learning_rate"
# Schedules that end, and the argument that says after how many epochs (without iter_step, where
# Paddle's count updates).
_LENGTH_KEYS = {
    "CustomWarmupCosineDecay": "max_epoch",
    "CosineAnnealingDecay": "T_max",
    "PolynomialDecay": "decay_steps",
}
_OWN = "CustomWarmupCosineDecay"
_WARM_UP = "warmup_epochs"


def follow_the_run(config: ReadNode, in_file: ReadNode, overrides: Sequence[str]) -> None:
    """Let the schedule end with the run where ``-o`` changed ``epochs`` alone.

    A length that equals the file's ``epochs`` is that of the run; another one was set on purpose,
    and so was one that an override states. Of a shorter run the warm-up is shorter in proportion,
    unless an override states it.

    Args:
        config: the configuration with its overrides; its schedule is changed in place.
        in_file: the same without them.
        overrides: ``key.key=value``.
    """
    node, epochs, epochs_in_file = _node(config), config.get("epochs"), in_file.get("epochs")
    if node is None or not _is_count(epochs) or not _is_count(epochs_in_file):
        return
    if epochs == epochs_in_file:
        return
    key = length_key(node)
    if key is None or _is_overridden(overrides, f"{_PATH}.{key}"):
        return
    if key in node and node[key] != epochs_in_file:
        return
    changes: dict[str, float] = {key: epochs}
    warm_up = node.get(_WARM_UP)
    if (
        node.get("name") == _OWN
        and epochs < epochs_in_file
        and isinstance(warm_up, (int, float))
        and not _is_overridden(overrides, f"{_PATH}.{_WARM_UP}")
    ):
        changes[_WARM_UP] = warm_up * epochs / epochs_in_file
    node.update(changes)
    logger.info(
        "%s follows epochs: %g in place of %g: %s",
        _PATH,
        epochs,
        epochs_in_file,
        ", ".join(f"{name} {value:g}" for name, value in changes.items()),
    )


def fill_length(node: object, epochs: int) -> None:
    """Give a warm-up and cosine that states no ``max_epoch`` that of the run, in place."""
    if isinstance(node, dict) and node.get("name") == _OWN:
        node.setdefault("max_epoch", epochs)


def warn_of_another_length(node: object, epochs: int) -> None:
    """Warn where the schedule does not end with the run."""
    key = length_key(node) if isinstance(node, Mapping) else None
    length = node.get(key) if isinstance(node, Mapping) and key else None
    if not isinstance(length, (int, float)) or length == epochs:
        return
    logger.warning(
        "epochs is %d, but %s.%s is %g: the learning rate %s; set both alike, or keep them if that "
        "is meant",
        epochs,
        _PATH,
        key,
        length,
        "does not fall to its end" if length > epochs else "has fallen before the run ends",
    )


def length_key(node: ReadNode) -> str | None:
    """The argument that is the schedule's length in epochs; None of one that has none."""
    name = node.get("name")
    if name != _OWN and node.get("iter_step"):
        return None
    return _LENGTH_KEYS.get(str(name))


def _node(config: ReadNode) -> Node | None:
    optimizer = config.get("OPTIMIZER")
    node = optimizer.get("learning_rate") if isinstance(optimizer, Mapping) else None
    return node if isinstance(node, dict) else None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_overridden(overrides: Sequence[str], path: str) -> bool:
    keys = (override.partition("=")[0].strip() for override in overrides)
    return any(path == key or path.startswith(f"{key}.") for key in keys)
