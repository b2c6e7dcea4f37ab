"""Processes that tests start."""

import contextlib
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def killed_at_the_end(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Kill it, also after a failure: `subprocess.Popen` as a context waits for its end for ever."""
    try:
        yield
    finally:
        process.kill()
