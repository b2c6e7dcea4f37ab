"""The device: found or named, set up once by an entry point."""

import logging
import os
import re

import paddle

from paddlevideo.utils.cpu_threads import CPU_THREADS, available_cores
from paddlevideo.utils.errors import DeviceError
from paddlevideo.utils.memory import keep_freed_memory

logger = logging.getLogger(__name__)


def setup_device(name: str = "auto", num_threads: int | None = None) -> str:
    """Select the device and prepare the CPU; return Paddle's name of it (``cpu``, ``gpu:0``).

    Args:
        name: ``auto`` (a GPU where there is one), ``cpu``, ``gpu`` or ``gpu:N``.
        num_threads: threads of the math library on the CPU; None is all available cores.

    Raises:
        DeviceError: a GPU is asked for and there is none, or the name is unknown.
    """
    has_gpu = paddle.device.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if name == "auto":
        name = "gpu" if has_gpu else "cpu"
    kind = name.split(":")[0]
    if not re.fullmatch(r"cpu|gpu(:[0-9]+)?", name):
        raise DeviceError(f'device "{name}" is unknown; use auto, cpu, gpu or gpu:N')
    if kind == "gpu" and not has_gpu:
        raise DeviceError(
            'device "gpu" was asked for, but this Paddle sees none; install the GPU build of '
            "Paddle (README, On a GPU) or use the option -o device=cpu (tools: --device cpu)"
        )
    if name == "gpu":  # under paddle.distributed.launch each process has its own
        name = f"gpu:{paddle.distributed.ParallelEnv().device_id}"
    chosen = paddle.device.set_device(name)
    if kind == "cpu":
        CPU_THREADS.count = num_threads or _fair_share_of_cores()
        paddle.base.core.set_num_threads(CPU_THREADS.count)
        keep_freed_memory()
    del chosen
    return name


def leave_signals_alone() -> None:
    """Switch off Paddle's signal handlers, in every process that imports Paddle.

    They print a trace, for which they allocate memory: a SIGTERM that comes inside of free() then
    waits for its lock for ever, and the process can be ended by SIGKILL only (seen).
    """
    paddle.disable_signal_handler()


def _fair_share_of_cores() -> int:
    """Cores this process may use, shared among the processes of a launch."""
    local_processes = int(os.environ.get("PADDLE_LOCAL_SIZE", "0")) or (
        paddle.distributed.get_world_size()
    )
    return max(1, available_cores() // max(1, local_processes))
