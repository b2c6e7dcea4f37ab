"""The one step function of training, whatever precision, accumulation and distribution are set."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

import paddle
from paddle import Tensor, nn
from paddle.optimizer import Optimizer

from paddlevideo.modeling.distributed import barrier, world_size
from paddlevideo.tasks.agreement import Agreement
from paddlevideo.tasks.guards import Guards, gradient_norm
from paddlevideo.utils.errors import ConfigError, DeviceError
from paddlevideo.utils.interrupts import interrupts_held

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Precision:
    """Mixed precision (section ``AMP``, ``--amp``, ``--amp_level``).

    Attributes:
        level: O1 computes chosen operations in half precision; O2 keeps half weights too.
        wanted: the half precision; ``auto``: float16.
    """

    enabled: bool = False
    level: Literal["O1", "O2"] = "O1"
    wanted: Literal["auto", "float16", "bfloat16"] = "auto"

    @property
    def on_gpu(self) -> bool:
        """Whether the model computes on a GPU."""
        return bool(paddle.get_device().startswith("gpu"))

    @property
    def dtype(self) -> str:
        """By default float16 on a GPU; Paddle's CPU kernels know bfloat16 only."""
        if self.wanted != "auto":
            return self.wanted
        return "float16" if self.on_gpu else "bfloat16"

    @property
    def casts(self) -> bool:
        """Whether anything is computed in half precision; on a CPU Paddle does nothing but warn."""
        return self.enabled and self.on_gpu

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"{self.level} {self.dtype}" if self.enabled else "float32"

    def autocast(self) -> AbstractContextManager[None]:
        """A block in which the model computes as it does in training."""
        autocast: AbstractContextManager[None] = paddle.amp.auto_cast(
            enable=self.casts, level=self.level, dtype=self.dtype
        )
        return autocast


class _LossOf(nn.Layer):
    """A layer whose forward is the recognizer's loss, so that DataParallel can wrap it."""

    def __init__(self, model: nn.Layer) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self.model.loss(batch)


class TrainStep:
    """Forward, backward and, at the end of a group of batches, the update.

    Args:
        model: a recognizer.
        optimizer: built on the model's parameters; its rate is set by every call.
        guards: judge every step; by default they know nothing of the data.
        objective: a layer whose forward gives loss and logits of a batch; by default the model's.
        parts_rest: some parameters have no gradient at times (``FREEZE``).
    """

    def __init__(
        self,
        model: nn.Layer,
        optimizer: Optimizer,
        precision: Precision,
        guards: Guards | None = None,
        *,
        objective: nn.Layer | None = None,
        parts_rest: bool = False,
    ) -> None:
        self.optimizer = optimizer
        self.guards = guards or Guards(Agreement())
        self.precision = precision
        if precision.enabled and precision.wanted == "float16" and not precision.on_gpu:
            raise DeviceError("AMP.dtype: float16 needs a GPU; leave AMP out on a CPU")
        if precision.enabled and precision.level == "O2":
            if not precision.on_gpu:
                raise ConfigError("--amp_level O2 needs a GPU; use O1, or no --amp")
            model, self.optimizer = paddle.amp.decorate(
                model, optimizer, level="O2", dtype=precision.dtype
            )
        if precision.enabled and not precision.casts:
            logger.warning("--amp (AMP) has no effect on the CPU: Paddle computes in float32 there")
        module = objective or _LossOf(model)
        self.module = module
        self._unshared: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
        if world_size() > 1:
            barrier()  # it compares and copies parameters, by collectives
            self.module = paddle.DataParallel(module, find_unused_parameters=parts_rest)
            self._unshared = self.module.no_sync
        self.scaler = paddle.amp.GradScaler(
            enable=precision.casts and precision.dtype == "float16", init_loss_scaling=2.0**16
        )
        self._parameters = [p for p in model.parameters() if not p.stop_gradient]

    def __call__(
        self, batch: Mapping[str, Tensor], learning_rate: float, group_size: int, update: bool
    ) -> dict[str, Tensor]:
        """Run one batch.

        Args:
            learning_rate: of the update that this batch ends.
            group_size: batches whose gradients are averaged into one update.
            update: whether this batch is the last of its group.

        Returns:
            ``loss`` and ``logits`` of the batch, and with ``update`` ``grad_norm``, the global norm
            of the averaged gradients, all on the device, detached.

        Raises:
            DataError: more samples are unreadable than may be.
            DeviceError: another process has ended.
            NonFiniteError: they are not finite, in any process; nothing was updated.
        """
        with interrupts_held(), _broken_collectives():
            result = self._run(batch, learning_rate, group_size, update)
        return {name: tensor.detach() for name, tensor in result.items()}

    def _run(
        self, batch: Mapping[str, Tensor], learning_rate: float, group_size: int, update: bool
    ) -> dict[str, Tensor]:
        # Inside a group gradients stay local; they are averaged over processes at its end.
        with contextlib.nullcontext() if update else self._unshared():
            with self.precision.autocast():
                result = self.module(batch)
            self.scaler.scale(result["loss"] / group_size).backward()
        norm = self._gradient_norm() if update else None
        self.guards.judge(batch, result, norm, self.scaler.is_enable())
        if norm is None:
            return dict(result)
        self.optimizer.set_lr(learning_rate)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.clear_grad()
        return {**result, "grad_norm": norm}

    def _gradient_norm(self) -> Tensor:
        """The norm of the gradients as the update takes them, before any clipping."""
        self.scaler.unscale_(self.optimizer)
        return gradient_norm([p.grad for p in self._parameters if p.grad is not None])


@contextlib.contextmanager
def _broken_collectives() -> Iterator[None]:
    """One message for a collective that another process has left by ending."""
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or "gloo" not in str(error):
            raise
        raise DeviceError(
            "another process has ended, or was stopped for more than 30 s, in the middle of a "
            "step; what it said is in its own log (workerlog.* of the launcher's log_dir)"
        ) from None


def group_of(step: int, steps_per_epoch: int, group_size: int) -> tuple[int, bool]:
    """Return the size of the accumulation group of ``step`` and whether the step ends it.

    The last group of an epoch may be smaller: no batch is dropped.
    """
    start = step // group_size * group_size
    size = min(group_size, steps_per_epoch - start)
    return size, step == start + size - 1
