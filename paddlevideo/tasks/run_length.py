"""How long a run is: its steps and its validations, and how many of them are done."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunLength:
    """The whole of a training, known before it begins.

    Attributes:
        steps_per_epoch, epochs: as they are.
        max_steps: after which it is stopped (``--max_iters``); None: it goes to its end.
        val_interval: epochs between validations.
        validation_batches: of one validation; 0 without.
    """

    steps_per_epoch: int
    epochs: int
    max_steps: int | None = None
    val_interval: int = 1
    validation_batches: int = 0

    @property
    def steps(self) -> int:
        """Training steps of the whole run."""
        whole = self.steps_per_epoch * self.epochs
        return whole if self.max_steps is None else min(whole, self.max_steps)

    @property
    def validations(self) -> int:
        """Validations of the whole run: one after each ``val_interval`` epochs, and the last."""
        if not self.validation_batches:
            return 0
        return -(-self.steps // (self.val_interval * self.steps_per_epoch))

    def validations_done(self, steps: int) -> int:
        """Validations of a run that has taken ``steps`` steps and what follows them."""
        if steps >= self.steps:
            return self.validations
        done = steps // (self.val_interval * self.steps_per_epoch)
        return done if self.validation_batches else 0

    @property
    def batches(self) -> int:
        """Training steps and batches of validations of the whole run."""
        return self.steps + self.validations * self.validation_batches

    def batches_done(self, steps: int) -> int:
        """As `batches`, of a run that has taken ``steps`` steps and what follows them."""
        return steps + self.validations_done(steps) * self.validation_batches
