"""Hooks that write the numbers of a training for TensorBoard and for VisualDL.

What they write is ``metrics.jsonl`` once more: a resumed run writes its files anew from there, so
that they hold every step once and lose nothing that was not on the disk when a run was killed.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.modeling.distributed import is_main
from paddlevideo.tasks.hooks import HOOKS, Event, Hook, Training
from paddlevideo.utils.errors import ArgumentError, ConfigError
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.utils.packages import require_packages

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter
    from visualdl import LogWriter

_FLUSH_SECONDS = 20
_PLACE = ("kind", "time", "epoch", "step", "run", "iterations")  # of a line, no value of it


class BoardWriter(Hook):
    """Gives each number of an event to a tool's file, by its tag and its iteration.

    Tags are ``train/<name>`` (each interval), ``train_epoch/<name>`` and ``valid/<name>``; the
    iteration is the number of steps that were taken.

    Args:
        folder: of the files, within the run's folder.
    """

    package: str
    pattern: str  # of the names of its files

    def __init__(self, folder: str) -> None:
        require_packages(f"HOOKS: {type(self).__name__}", self.package)
        if not folder or Path(folder).is_absolute() or ".." in Path(folder).parts:
            raise ArgumentError(f"folder is {folder!r}, expected one within the run's folder")
        self.folder = Path(folder)
        self._steps_per_epoch = 0

    @abstractmethod
    def open(self, folder: Path) -> None:
        """Begin a file."""

    @abstractmethod
    def add(self, tag: str, value: float, iteration: int) -> None:
        """Write a number."""

    @abstractmethod
    def close(self) -> None:
        """End the file."""

    def on_train_start(self, training: Training) -> None:
        """Begin the file, with the steps of the run that were before."""
        if not is_main():
            return
        self._steps_per_epoch = training.position.steps_per_epoch
        folder = training.folder / self.folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob(self.pattern):
                old.unlink()
            self.open(folder)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written to: {error.strerror}") from None
        self._write(_steps_before(training))

    def on_event(self, event: Event) -> None:
        """Write it; events from before the file is open are in ``metrics.jsonl``."""
        if self._steps_per_epoch:
            self._write([{"kind": event.kind, **event.values}])

    def on_train_end(self, training: Training) -> None:
        """End the file."""
        if self._steps_per_epoch:
            self._steps_per_epoch = 0
            self.close()

    def _write(self, lines: Iterable[ReadNode]) -> None:
        for line in lines:
            iteration = iteration_of(line, self._steps_per_epoch)
            if iteration is None:
                continue
            for name, value in numbers_of(line):
                self.add(f"{line['kind']}/{name}", value, iteration)


def iteration_of(line: ReadNode, steps_per_epoch: int) -> int | None:
    """Steps that were taken when a line was written; None for a line that has no place."""
    epoch, step = line.get("epoch"), line.get("step")
    if line.get("kind") == "train" and isinstance(epoch, int) and isinstance(step, int):
        return (epoch - 1) * steps_per_epoch + step + 1
    if line.get("kind") in ("train_epoch", "valid") and isinstance(epoch, int):
        return epoch * steps_per_epoch
    return None


def numbers_of(line: ReadNode) -> Iterator[tuple[str, float]]:
    """The values of a line by name."""
    for name, value in line.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name not in _PLACE and is_number:
            yield name, float(value)


def _steps_before(training: Training) -> list[ReadNode]:
    """The lines of this run up to its position, each once, in order."""
    # Here, as it imports the recipe, which imports this module for its registry.
    from paddlevideo.tasks.run_records import read_metrics

    position = training.position
    found: dict[tuple[int, str], ReadNode] = {}
    for line in read_metrics(training.folder):
        iteration = iteration_of(line, position.steps_per_epoch)
        if iteration is not None and iteration <= position.iterations:
            found[iteration, str(line["kind"])] = line
    return [found[key] for key in sorted(found)]


@HOOKS.register
class TensorBoardWriter(BoardWriter):
    """Event files for ``tensorboard --logdir``, written by tensorboardX.

    Args:
        folder: as `BoardWriter`.
    """

    package = "tensorboardX"
    pattern = "events.out.tfevents.*"

    def __init__(self, folder: str = "tensorboard") -> None:
        super().__init__(folder)
        self._writer: SummaryWriter | None = None

    def open(self, folder: Path) -> None:
        """Begin a file; a TensorBoard that runs forgets what it had of the ones before."""
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=0, flush_secs=_FLUSH_SECONDS)

    def add(self, tag: str, value: float, iteration: int) -> None:
        """Write a number."""
        if self._writer is not None:
            self._writer.add_scalar(tag, value, iteration)

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()


@HOOKS.register
class VisualDLWriter(BoardWriter):
    """Record files for ``visualdl --logdir``.

    Args:
        folder: as `BoardWriter`.
    """

    package = "visualdl"
    pattern = "vdlrecords.*"

    def __init__(self, folder: str = "visualdl") -> None:
        super().__init__(folder)
        self._writer: LogWriter | None = None

    def open(self, folder: Path) -> None:
        """Begin a file."""
        from visualdl import LogWriter

        self._writer = LogWriter(logdir=str(folder), flush_secs=_FLUSH_SECONDS)

    def add(self, tag: str, value: float, iteration: int) -> None:
        """Write a number."""
        if self._writer is not None:
            self._writer.add_scalar(tag=tag, value=value, step=iteration)

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
