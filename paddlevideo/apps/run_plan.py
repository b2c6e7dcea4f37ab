"""What a training will be: the resolved plan, with what a dry run measured."""

from dataclasses import dataclass

from paddlevideo.modeling.complexity import model_complexity
from paddlevideo.modeling.distributed import world_size
from paddlevideo.solver.schedules import Schedule
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.run_length import RunLength
from paddlevideo.tasks.train import Trainer
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.run_bar import clock


@dataclass(frozen=True)
class Measured:
    """What a few steps took.

    Attributes:
        clips: shape of each clip of a batch, by name.
        step_seconds: of a step, the wait for its batch included.
        validation_batch_seconds: of a batch of the validation; 0 without.
        memory_bytes: the most that the process held (on a GPU: that tensors took of its memory);
            None where the system does not say.
        weight_bytes, state_bytes: of a checkpoint: the weights, and all that resuming needs beside.
    """

    clips: dict[str, list[int]]
    step_seconds: float
    validation_batch_seconds: float
    memory_bytes: int | None
    weight_bytes: int
    state_bytes: int


@dataclass(frozen=True)
class RunPlan:
    """A training that was tried.

    Attributes:
        recipe: of the training, not of the trial.
        trainer: of the trial, at its end.
        length: of the training.
        counts: samples of each split.
        free_bytes: where the run will write.
    """

    recipe: Recipe
    trainer: Trainer
    length: RunLength
    counts: dict[str, int]
    measured: Measured
    free_bytes: int

    @property
    def seconds(self) -> float:
        """The projected time of the whole training."""
        validation = self.length.validation_batches * self.measured.validation_batch_seconds
        return self.length.steps * self.measured.step_seconds + self.length.validations * validation

    @property
    def checkpoint_bytes(self) -> int:
        """What all checkpoints take: the weights of each save, the newest states, the best."""
        saves = -(-self.length.epochs // self.recipe.save_interval)
        kept = saves * self.measured.weight_bytes
        kept += (self.recipe.keep_states + 1) * self.measured.state_bytes  # one is being written
        return kept + (self.measured.weight_bytes if self.length.validations else 0)

    def check_room(self) -> None:
        """Raise `ConfigError` if the disk has no room for the checkpoints."""
        if self.free_bytes < self.checkpoint_bytes:
            raise ConfigError(
                f"output_dir: {self.recipe.run_folder} has {_bytes(self.free_bytes)} of room, and "
                f"the checkpoints take {_bytes(self.checkpoint_bytes)}; name another folder, or "
                "save less often (save_interval)"
            )

    def rows(self) -> list[tuple[str, str]]:
        """Titles and texts."""
        return [
            ("data", self._data()),
            ("batch", self._batch()),
            ("length", self._length()),
            ("learning rate", _rates(self.trainer.schedule, self.length)),
            ("model", self._model()),
            ("frozen", self._frozen()),
            ("hooks", ", ".join(type(hook).__name__ for hook in self._hooks())),
            ("memory", self._memory()),
            ("time", self._time()),
            ("disk", self._disk()),
            ("tried", self._tried()),
        ]

    def _frozen(self) -> str:
        phases = [
            f"everything up to {phase.through} until epoch {phase.until_epoch}"
            for phase in self.recipe.FREEZE
        ]
        whole = [f"everything up to {self.recipe.freeze}"] if self.recipe.freeze else []
        return ", ".join(whole + phases) or "none"

    def _hooks(self) -> list[object]:
        """Without that of the trial, which is the last one."""
        return list(self.trainer.hooks[:-1])

    def _data(self) -> str:
        return ", ".join(f"{count} {split}" for split, count in self.counts.items())

    def _batch(self) -> str:
        per_process = self.trainer.train_loader.batch_size
        groups = self.trainer.group_size
        clips = ", ".join(
            f"{name} {'x'.join(map(str, shape))}" for name, shape in self.measured.clips.items()
        )
        update = per_process * groups * world_size()
        return f"{per_process} clips a step, {update} an update ({groups} steps); {clips}"

    def _length(self) -> str:
        length = self.length
        return (
            f"{length.epochs} epochs of {length.steps_per_epoch} steps, {length.steps} steps; "
            f"{length.validations} validations of {length.validation_batches} batches"
        )

    def _model(self) -> str:
        (shape, *others) = self.measured.clips.values()
        native = bool(others)  # an ensemble: each member has a clip of its own
        _, frames, _, height, width = shape
        cost = (
            model_complexity(self.trainer.model)
            if native
            else model_complexity(self.trainer.model, frames, (height, width))
        )
        return (
            f"{self.trainer.model.architecture}, {cost.parameters:,} parameters, "
            f"{cost.trainable_parameters:,} of them trained, "
            f"{cost.multiply_adds_per_clip / 1e9:.3g} billion multiply-adds a clip"
        )

    def _memory(self) -> str:
        peak = self.measured.memory_bytes
        return "the system does not say" if peak is None else f"{_bytes(peak)} at most"

    def _time(self) -> str:
        step = f"{self.measured.step_seconds:.3g} s a step"
        if self.length.validations:
            step += f", {self.measured.validation_batch_seconds:.3g} s a batch of a validation"
        return f"{step}; {clock(self.seconds)} for the whole"

    def _disk(self) -> str:
        measured = self.measured
        return (
            f"{_bytes(measured.weight_bytes)} weights and {_bytes(measured.state_bytes)} state a "
            f"checkpoint, {_bytes(self.checkpoint_bytes)} at most in all; "
            f"{_bytes(self.free_bytes)} free"
        )

    def _tried(self) -> str:
        done = ["steps", "a checkpoint written and read back", "an export that was proved"]
        if self.length.validations:
            done.insert(1, "a batch of the validation")
        return ", ".join(done)


def _rates(schedule: Schedule, length: RunLength) -> str:
    steps = length.steps_per_epoch
    first, last = schedule.rate(0, 0, steps), schedule.rate(length.epochs - 1, steps - 1, steps)
    by_epoch = [schedule.rate(epoch, 0, steps) for epoch in range(length.epochs)]
    most = max(range(length.epochs), key=lambda epoch: by_epoch[epoch])
    return f"{first:.3g} at first, {by_epoch[most]:.3g} in epoch {most + 1}, {last:.3g} at last"


def _bytes(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"
        number /= 1000
    return ""
