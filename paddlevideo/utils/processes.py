"""The end of a child process, without a wait that has no limit."""

from multiprocessing.process import BaseProcess

GRACE_SECONDS = 5.0


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
