"""What a training writes into its folder and goes on from: the side of the loop that is files."""

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from paddlevideo.modeling.distributed import all_reduce_sum, is_main
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.tasks.differences import config_of
from paddlevideo.tasks.metrics_history import keep_until
from paddlevideo.tasks.position import Position
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.resume import agreed, state_to_resume
from paddlevideo.tasks.run_folder import METRICS_NAME
from paddlevideo.tasks.run_identity import (
    RunRecord,
    begin_anew,
    held,
    read_record,
    write_record,
)
from paddlevideo.tasks.saved_state import MODEL, Parts, SavedState, Snapshot
from paddlevideo.tasks.saver import Saver
from paddlevideo.tasks.stateful import Stateful, arrays_of
from paddlevideo.utils.files import sync_file

logger = logging.getLogger(__name__)


class RunFiles:
    """The files of one training. What the loop hands over is copied at once and written beside it.

    Args:
        recipe: of the training.
        folder: of the run.

    Attributes:
        run: the id of the run, once it has begun, in the main process.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.folder = folder
        self.run: str | None = None
        self.checkpoints = Checkpoints(folder, recipe.model_name, recipe.keep_states)
        self._saver = Saver()
        self._unsaved_best: tuple[Mapping[str, np.ndarray], Mapping[str, float]] | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder's lock; at the end, be it an error, a write under way is finished."""
        with held(self.folder, is_main()):
            try:
                yield
            finally:
                self._saver.close()

    def resume(self, parts: Parts, position: Position) -> bool:
        """Load the state that the recipe names, if any; then make the folder that of this run.

        Returns:
            Whether there is one. Every process loads the same.

        Raises:
            ConfigError: training begins anew in a folder that holds another run.
            WeightsError: it cannot be resumed from what the recipe names.
        """
        state = state_to_resume(self.recipe, self.checkpoints)
        state = agreed(state, self.checkpoints, _of_main)
        if state is None:
            if is_main():
                begin_anew(self.folder, self.recipe)
                self.checkpoints.sweep()
                keep_until(self.folder, None)
                self._take_record(None)
            return False
        self.checkpoints.load(state, parts)
        if is_main():
            self._go_on_from(state, position)
        where = "in" if position.step else "after"
        detail = f", before step {position.step}" if position.step else ""
        logger.info("resumed %s epoch %d%s", where, position.epochs_begun, detail)
        return True

    def _go_on_from(self, state: SavedState, position: Position) -> None:
        folder = state.folder.absolute().parent
        if folder == self.folder.absolute():
            self.checkpoints.drop_after(state)
            self.checkpoints.sweep()
            keep_until(self.folder, position)
            self._take_record(read_record(self.folder))
            return
        begin_anew(self.folder, self.recipe)  # a run of its own, from another's state
        self.checkpoints.sweep()
        keep_until(self.folder, None)
        name = state.folder.name.rpartition("_step_")[0] or state.folder.name.rpartition("_epo")[0]
        Checkpoints(folder, name).best.copy_to(self.checkpoints.best)
        self._take_record(None, str(state.folder))

    def _take_record(self, record: RunRecord | None, continues: str | None = None) -> None:
        if record is None:
            config = json.dumps(config_of(self.recipe), sort_keys=True)
            digest = hashlib.sha256(config.encode()).hexdigest()
            record = RunRecord.new(self.recipe.model_name, digest, continues)
            write_record(self.folder, record)
        self.run = record.run

    def best_result(self) -> dict[str, float] | None:
        """The result that the best weights in the folder have."""
        return self.checkpoints.best.read()

    def last_good(self) -> Path | None:
        """The newest weights to go on from."""
        self._saver.wait()
        return self.checkpoints.last_good()

    def save(self, iterations: int, parts: Parts, epoch: int | None = None) -> None:
        """Have a state written; returns when the parts are copied and the write before is done.

        Args:
            epoch: write its weights for users too.
        """
        snapshot = Snapshot.of(iterations, parts)

        def write() -> None:
            # A state is written last: what it counts as done is there then.
            sync_file(self.folder / METRICS_NAME)
            self._write_best()
            if epoch is not None:
                self.checkpoints.save_weights(epoch, snapshot.arrays[MODEL])
            self.checkpoints.save(snapshot)

        self._saver.start(f"the state of step {iterations}", write)

    def save_weights(self, epoch: int, model: Stateful) -> None:
        """Have the weights after an epoch written for users."""
        arrays = arrays_of(model.state_dict())
        self._saver.start(
            f"the weights of epoch {epoch}", lambda: self.checkpoints.save_weights(epoch, arrays)
        )

    def save_best(self, model: Stateful, result: Mapping[str, float]) -> None:
        """Write the best weights with their result; returns when that is done, or has failed.

        What has failed is tried again before the next state is written.
        """
        self._unsaved_best = (arrays_of(model.state_dict()), dict(result))
        self._saver.start("the best weights", self._write_best)
        self._saver.wait()
        self._saver.check()

    def check(self) -> None:
        """Raise what ended a write, if training must not go on with that."""
        self._saver.check()

    def finish(self) -> None:
        """Wait for the last write, which must not have failed."""
        self._saver.finish()

    def _write_best(self) -> None:
        if self._unsaved_best is not None:
            self.checkpoints.best.write(*self._unsaved_best)
            self._unsaved_best = None


def _of_main(value: int) -> int:
    """The number of the main process."""
    return int(all_reduce_sum(np.array([value if is_main() else 0], np.float64))[0])
