"""`Guards`: what is judged of every step, before the optimizer moves, in all processes alike.

Loss, logits and the norm of the gradients must be finite, and no more samples unreadable than
``DATASET.max_bad_share`` allows. All of it is one reading of the device and one exchange a step.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import paddle
import pydantic
from paddle import Tensor
from pydantic import JsonValue

from paddlevideo.tasks.agreement import Agreement, Facts
from paddlevideo.tasks.stateful import State, Stateful, checked_state
from paddlevideo.utils.errors import DataError, NonFiniteError

# Loss scaling begins at 2**16 and halves: more of them in a row are no matter of the scale.
MOST_SKIPPED_STEPS = 32
_PATHS_NAMED = 4
_JUDGED = ("loss", "logits", "gradients")

_Number = Annotated[int, pydantic.Field(ge=0, le=2**62)]


class _Counts(pydantic.BaseModel):
    bad_samples: _Number = 0
    skipped_steps: _Number = 0
    bad_in_a_row: _Number = 0


@dataclass(frozen=True)
class Samples:
    """What the guards know of the data.

    Attributes:
        paths_of: the files of samples, by their numbers.
        per_epoch: samples that all processes take in an epoch.
        max_bad_share: of them that may be unreadable.
        bad_samples: the file that lists those.
    """

    paths_of: Callable[[Sequence[int]], list[str]]
    per_epoch: int
    max_bad_share: float
    bad_samples: str

    @property
    def most_bad(self) -> int:
        """Unreadable ones that an epoch may have."""
        return math.ceil(self.max_bad_share * self.per_epoch)


class Guards(Stateful):
    """Judges steps, and counts over the running epoch what was let pass.

    Args:
        agreement: with the other processes.
        samples: of the data; None: unreadable ones are not counted.
    """

    may_begin_anew = True

    def __init__(self, agreement: Agreement, samples: Samples | None = None) -> None:
        self.agreement = agreement
        self.samples = samples
        self._counts = _Counts()

    def judge(
        self,
        batch: Mapping[str, Tensor],
        result: Mapping[str, Tensor],
        grad_norm: Tensor | None,
        may_skip: bool,
    ) -> None:
        """Raise, in every process alike, unless the step is good.

        The logits are judged too: Paddle's cross entropy on the CPU gives ln(classes) for logits
        of NaN.

        Args:
            grad_norm: global norm of the gradients of the update; None inside a group of batches.
            may_skip: whether the losses are scaled, and so some bad steps in a row are left out.

        Raises:
            NonFiniteError: something is not finite.
            DataError: more samples of this epoch are unreadable than may be.
        """
        values = [result["loss"].sum(dtype="float32"), result["logits"].sum(dtype="float32")]
        values.append(paddle.zeros([]) if grad_norm is None else grad_norm)
        counted = self.samples is not None and "replaced" in batch
        if counted:
            values.append(batch["replaced"].sum(dtype="float32"))
        read = paddle.stack(values).numpy().tolist()  # one number each to wait for, all at once
        bad = [name for name, value in zip(_JUDGED, read, strict=False) if not math.isfinite(value)]
        facts: dict[str, JsonValue] = {"bad": list(bad)}
        if counted:
            facts["replaced"] = int(read[-1])
        if bad:
            facts["paths"], facts["more"] = self._named(batch)
        self._take(self.agreement.reach(facts), may_skip)

    @property
    def skipped(self) -> bool:
        """Whether the newest step was not finite and was left out."""
        return self._counts.bad_in_a_row > 0

    def summary(self) -> dict[str, float]:
        """Return the counts of the epoch, over all processes, for its line."""
        if self.samples is None:
            return {}
        bad = self._counts.bad_samples
        values: dict[str, float] = {
            "bad_samples": bad, "bad_share": bad / max(1, self.samples.per_epoch)
        }  # fmt: skip
        if self._counts.skipped_steps:
            values["skipped_steps"] = self._counts.skipped_steps
        return values

    def reset(self) -> None:
        """Begin another epoch."""
        self._counts = _Counts(bad_in_a_row=self._counts.bad_in_a_row)

    def state_dict(self) -> State:
        """Return the counts."""
        return self._counts.model_dump()

    def check_state(self, state: State, source: str) -> None:
        """Raise `WeightsError` unless these are counts."""
        checked_state(_Counts, state, source)

    def load_state_dict(self, state: State, source: str) -> None:
        """Go on counting."""
        self._counts = checked_state(_Counts, state, source)

    def _named(self, batch: Mapping[str, Tensor]) -> tuple[list[JsonValue], int]:
        """Some files of a batch, and how many more there are."""
        if self.samples is None or "index" not in batch:
            return [], 0
        indices = batch["index"].numpy().tolist()
        paths: list[JsonValue] = list(self.samples.paths_of(indices[:_PATHS_NAMED]))
        return paths, max(0, len(indices) - _PATHS_NAMED)

    def _take(self, given: Sequence[Facts], may_skip: bool) -> None:
        counts = self._counts
        counts.bad_samples += sum(int(_number(facts, "replaced")) for facts in given)
        if any(facts["bad"] for facts in given):
            counts.bad_in_a_row += 1
            counts.skipped_steps += 1
        else:
            counts.bad_in_a_row = 0
        allowed = MOST_SKIPPED_STEPS if may_skip else 0
        if counts.bad_in_a_row > allowed:
            raise NonFiniteError(_not_finite(given, counts.bad_in_a_row if allowed else 1))
        if self.samples is not None and counts.bad_samples > self.samples.most_bad:
            raise DataError(
                f"{counts.bad_samples} of the {self.samples.per_epoch} samples of this epoch could "
                f"not be read, more than DATASET.max_bad_share {self.samples.max_bad_share:g} "
                f"allows ({self.samples.most_bad}); {self.samples.bad_samples} lists files and "
                "reasons. Mend or remove them, or allow a larger share"
            )


def _not_finite(given: Sequence[Facts], in_a_row: int) -> str:
    """What is not finite, and in which batch of which process."""
    names = [name for name in _JUDGED if any(name in _texts(facts, "bad") for facts in given)]
    # After averaging gradients are bad everywhere; the loss tells where it came from.
    causes = [n for n, facts in enumerate(given) if set(_texts(facts, "bad")) - {"gradients"}]
    bad = [number for number, facts in enumerate(given) if facts["bad"]]
    cause = given[(causes or bad)[0]]
    verb = "is" if names == ["loss"] else "are"
    text = f"the {' and the '.join(names)} {verb} not finite"
    if in_a_row > 1:
        text += f", {in_a_row} steps in a row"
    paths = _texts(cause, "paths")
    if paths:
        more = int(_number(cause, "more"))
        where = f" of process {(causes or bad)[0]}" if len(given) > 1 else ""
        text += f" for the samples{where} {', '.join(paths)}"
        text += f" and {more} more" if more else ""
    return text


def _texts(facts: Facts, name: str) -> list[str]:
    value = facts.get(name)
    return [str(each) for each in value] if isinstance(value, list) else []


def _number(facts: Facts, name: str) -> float:
    value = facts.get(name)
    return value if isinstance(value, (int, float)) else 0


def gradient_norm(gradients: Sequence[Tensor]) -> Tensor:
    """The global norm of gradients, float32 [], one kernel for each and four more.

    By the kernel that Paddle's own clipping by global norm uses: its public operations take six
    to twenty times as long for some hundred small tensors.
    """
    squares = [
        paddle._C_ops.squared_l2_norm(
            gradient if gradient.dtype == paddle.float32 else gradient.astype("float32")
        )
        for gradient in gradients
    ]
    if not squares:
        return paddle.zeros([])
    return paddle.concat(squares).sum().sqrt()
