"""Processes: which one of a launch this is, and the end of a child without an endless wait."""

import os
from multiprocessing.process import BaseProcess

GRACE_SECONDS = 5.0


def launched_rank() -> int:
    """This process's number among those of ``paddle.distributed.launch``; 0 without a launch."""
    return int(os.environ.get("PADDLE_TRAINER_ID", "0"))


def end_process(process: BaseProcess, grace_seconds: float = GRACE_SECONDS) -> None:
    """End a process: ask it, give it a grace period, then kill it.

    It is reaped if it has been started. One that not even a kill ends (it waits in the kernel for
    a disk that is gone) is left to itself.

    Args:
        grace_seconds: how long it has after the first signal, and again after the second.
    """
    if process.pid is None:
        return
    process.terminate()
    process.join(grace_seconds)
    if process.is_alive():
        process.kill()
        process.join(grace_seconds)
