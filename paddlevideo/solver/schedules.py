"""Learning-rate schedules: the rate as a function of the position in the training.

A schedule holds no counter of its own, so resuming needs nothing but the position.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import paddle

from paddlevideo.solver.batch_size_rule import without_reference
from paddlevideo.solver.weight_decay import is_number
from paddlevideo.utils.errors import ArgumentError, ConfigError, nearest_hint, shown
from paddlevideo.utils.nodes import ReadNode
from paddlevideo.utils.registry import Registry, bind_arguments


class Schedule(Protocol):
    """Learning rate of one step."""

    def rate(self, epoch: int, step: int, steps_per_epoch: int) -> float:
        """Return the rate of step ``step`` (from 0) of epoch ``epoch`` (from 0)."""
        ...


SCHEDULES: Registry[Schedule] = Registry("learning-rate schedule", Schedule)


@SCHEDULES.register_as("Constant")
class ConstantRate:
    """The same rate throughout."""

    def __init__(self, learning_rate: float) -> None:
        if learning_rate < 0:
            raise ArgumentError(f"learning_rate is {learning_rate}, expected 0 or more")
        self.learning_rate = learning_rate

    def rate(self, epoch: int, step: int, steps_per_epoch: int) -> float:
        """Return the rate."""
        return self.learning_rate


@SCHEDULES.register
class CustomWarmupCosineDecay:
    """PaddleVideo's linear warm-up to a cosine that is counted from the start of training.

    With e the epochs done (fractional with ``iter_step``) and
    C(e) = ``cosine_base_lr`` / 2 * (1 + cos(pi * e / ``max_epoch``)): before ``warmup_epochs``
    the rate grows linearly from ``warmup_start_lr`` to C(``warmup_epochs``), then it is C(e).

    Args:
        iter_step: advance with every step (True) or with every epoch.
    """

    def __init__(
        self,
        max_epoch: float,
        warmup_epochs: float,
        warmup_start_lr: float,
        cosine_base_lr: float,
        iter_step: bool = True,
    ) -> None:
        if max_epoch <= 0 or not 0 <= warmup_epochs <= max_epoch:
            raise ArgumentError("expected max_epoch above 0 and warmup_epochs from 0 to max_epoch")
        if warmup_start_lr < 0 or cosine_base_lr < 0:
            raise ArgumentError("warmup_start_lr and cosine_base_lr must not be negative")
        self.max_epoch = max_epoch
        self.warmup_epochs = warmup_epochs
        self.warmup_start_lr = warmup_start_lr
        self.cosine_base_lr = cosine_base_lr
        self.iter_step = iter_step

    def rate(self, epoch: int, step: int, steps_per_epoch: int) -> float:
        """Return the rate of a step."""
        done = epoch + (step / steps_per_epoch if self.iter_step else 0.0)
        if done >= self.warmup_epochs:
            return self._cosine(done)
        target = self._cosine(self.warmup_epochs)
        start = self.warmup_start_lr
        return start + done * (target - start) / self.warmup_epochs

    def _cosine(self, done: float) -> float:
        return self.cosine_base_lr / 2.0 * (math.cos(math.pi * done / self.max_epoch) + 1.0)


class PaddleSchedule:
    """Any class of ``paddle.optimizer.lr`` by name, stepped once per epoch or per step."""

    def __init__(self, scheduler: paddle.optimizer.lr.LRScheduler, iter_step: bool) -> None:
        self.scheduler = scheduler
        self.iter_step = iter_step

    def rate(self, epoch: int, step: int, steps_per_epoch: int) -> float:
        """Return the rate of a step; positions must not go backwards."""
        position = epoch * steps_per_epoch + step if self.iter_step else epoch
        while self.scheduler.last_epoch < position:
            self.scheduler.step()
        return float(self.scheduler())


@dataclass(frozen=True)
class ScaledSchedule:
    """A schedule all of whose rates are multiplied by ``factor``."""

    schedule: Schedule
    factor: float

    def rate(self, epoch: int, step: int, steps_per_epoch: int) -> float:
        """Return the rate of a step."""
        return self.factor * self.schedule.rate(epoch, step, steps_per_epoch)


def build_schedule(
    node: float | ReadNode, where: str, global_batch_size: int | None = None
) -> Schedule:
    """Build from a number or a node ``{name: ..., arguments}``.

    Args:
        global_batch_size: clips of an update, which the rates follow where the node has
            ``reference_batch_size`` (`batch_size_rule`); None: they are those of the reference.

    Raises:
        ConfigError: unknown schedule or argument.
    """
    plain, factor = without_reference(node, where, global_batch_size)
    schedule = _build_plain(plain, where)
    return schedule if factor == 1.0 else ScaledSchedule(schedule, factor)


def _build_plain(node: float | ReadNode, where: str) -> Schedule:
    if not isinstance(node, Mapping):
        if not is_number(node):
            expected = "expected a number or {name: schedule, ...}"
            raise ConfigError(f"{where}: {expected}, got {shown(node)}")
        return SCHEDULES.build({"name": "Constant", "learning_rate": node}, where)
    name = str(node.get("name"))
    if name in SCHEDULES:
        return SCHEDULES.build(node, where)
    known = [n for n, c in vars(paddle.optimizer.lr).items() if _is_scheduler(n, c)]
    if name not in known:
        raise ConfigError(
            f'{where}: unknown learning-rate schedule "{name}"; '
            f"{nearest_hint(name, [*SCHEDULES, *known])}"
        )
    arguments = {k: v for k, v in node.items() if k not in ("name", "iter_step")}
    scheduler = vars(paddle.optimizer.lr)[name]
    try:
        built = scheduler(**bind_arguments(scheduler, arguments, where))
    except (TypeError, ValueError, AssertionError) as error:  # Paddle asserts on some values
        raise ConfigError(f"{where} ({name}): {error}") from error
    return PaddleSchedule(built, bool(node.get("iter_step", False)))


def _is_scheduler(name: str, component: object) -> bool:
    base = paddle.optimizer.lr.LRScheduler
    takes_a_metric = name == "ReduceOnPlateau"  # needs a result, not a position
    return (
        isinstance(component, type)
        and issubclass(component, base)
        and component is not base
        and not takes_a_metric
    )
