"""The lines of ``metrics.jsonl`` from before this process: those a resumed run keeps."""

import json
from pathlib import Path

from paddlevideo.tasks.position import Position
from paddlevideo.tasks.run_folder import METRICS_NAME
from paddlevideo.utils.files import atomic_write
from paddlevideo.utils.nodes import Node

_OF_EPOCHS = ("train_epoch", "valid")
_TEST = "test"


def holds_epochs(folder: Path) -> bool:
    """Whether there are lines of a training that has done an epoch."""
    return any(line.get("kind") in _OF_EPOCHS for _, line in _lines(folder / METRICS_NAME))


def keep_until(folder: Path, position: Position | None) -> None:
    """Drop the lines of steps after a position, which will be taken again; atomically.

    Lines of tests stay. So does what was written before a state at this very position was saved:
    the line of the step, and of the epoch where it ended one; the validation if it was before it.

    Args:
        position: of the state that was resumed from; None: training begins anew.
    """
    path = folder / METRICS_NAME
    if not path.exists():
        return
    with atomic_write(path) as file:
        for text, line in _lines(path):
            if line.get("kind") == _TEST or (position is not None and _is_before(line, position)):
                file.write(text + b"\n")


def _is_before(line: Node, position: Position) -> bool:
    kind, done = line.get("kind"), _iterations(line, position.steps_per_epoch)
    if done != position.iterations:
        return done < position.iterations
    if kind == "resume":
        return False
    if kind == "train" or kind == "start":
        return True
    if position.step:  # the epoch was cut there, and goes on
        return False
    return kind != "valid" or not position.validation_pending


def _iterations(line: Node, steps_per_epoch: int) -> int:
    """Steps of the run that were done at a line; earlier versions wrote epoch and step alone."""
    done = line.get("iterations")
    if isinstance(done, int):
        return done
    epoch, step = line.get("epoch"), line.get("step")
    if not isinstance(epoch, int):
        return 0
    if line.get("kind") == "train" and isinstance(step, int):
        return (epoch - 1) * steps_per_epoch + step + 1
    return epoch * steps_per_epoch


def _lines(path: Path) -> list[tuple[bytes, Node]]:
    """The whole lines that are mappings; half of one, which a kill has left, is none."""
    try:
        content = path.read_bytes()
    except OSError:
        return []
    found = []
    for text in content.split(b"\n"):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            found.append((text, line))
    return found
