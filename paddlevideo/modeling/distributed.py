"""Rank, world size, what processes tell one another, and the two collectives the project needs.

Collectives are entered together (`barrier`): in them a process waits for another 30 s at most.
"""

from collections.abc import Iterable

import numpy as np
import paddle
from paddle import distributed

from paddlevideo.modeling.exchange import Exchange, share_by_broadcast
from paddlevideo.utils.errors import DeviceError


class _Line:
    """The exchange of this process, made at its first use."""

    def __init__(self) -> None:
        self._exchange: Exchange | None = None

    def exchange(self, text: str) -> list[str]:
        if self._exchange is None:
            host = distributed.ParallelEnv().trainer_endpoints[0].rpartition(":")[0]
            self._exchange = Exchange(rank(), world_size(), host, share_by_broadcast)
        return self._exchange(text)


_LINE = _Line()


def rank() -> int:
    """This process's number; 0 without a launcher."""
    return distributed.get_rank()


def world_size() -> int:
    """Number of processes; 1 without a launcher."""
    return distributed.get_world_size()


def is_main() -> bool:
    """Whether this process writes files and shows progress."""
    return rank() == 0


def setup_distributed() -> None:
    """Join the processes of ``paddle.distributed.launch`` (NCCL on GPU, Gloo on CPU), if any.

    Raises:
        DeviceError: they do not come together; Paddle waits for 900 s.
    """
    if world_size() == 1:
        return
    try:
        distributed.init_parallel_env()
    except (SystemError, RuntimeError) as error:  # Paddle's time-out; Gloo's and NCCL's own
        reason = " ".join(str(error).split())[-300:]
        raise DeviceError(
            f"process {rank()}: the {world_size()} processes of this launch did not come together; "
            "one that has ended says why in its own log (workerlog.N of the launcher's log_dir). "
            f"{reason}"
        ) from None


def exchange(text: str) -> list[str]:
    """Return the texts of all processes, by their number, when each has given one.

    The slowest is waited for as long as it takes.

    Raises:
        DeviceError: another process has ended.
    """
    return [text] if world_size() == 1 else _LINE.exchange(text)


def barrier() -> None:
    """Wait until all processes are here, as long as it takes; no collective, which would give up.

    Raises:
        DeviceError: another process has ended.
    """
    exchange("")


def all_reduce_sum(values: np.ndarray) -> np.ndarray:
    """Sum a float64 array over all processes; every process gets the sum."""
    if world_size() == 1:
        return values
    barrier()
    tensor = paddle.to_tensor(values.astype(np.float64))
    distributed.all_reduce(tensor, op=distributed.ReduceOp.SUM)
    return tensor.numpy()


def sum_over_processes(tensor: paddle.Tensor) -> paddle.Tensor:
    """Sum a tensor over all processes, on the device; without a gradient, in place."""
    if world_size() > 1:
        distributed.all_reduce(tensor, op=distributed.ReduceOp.SUM)
    return tensor


def average_in_place(tensors: Iterable[paddle.Tensor]) -> None:
    """Replace each tensor by its mean over all processes."""
    if world_size() == 1:
        return
    barrier()
    for tensor in tensors:
        distributed.all_reduce(tensor, op=distributed.ReduceOp.SUM)
        tensor.set_value(tensor / world_size())


def gather_rows(row: np.ndarray) -> np.ndarray:
    """Return the float32 arrays [value] of all processes as [process, value]."""
    if world_size() == 1:
        return row[None]
    barrier()
    rows: list[paddle.Tensor] = []
    distributed.all_gather(rows, paddle.to_tensor(row.astype(np.float32)))
    return np.stack([each.numpy() for each in rows])
