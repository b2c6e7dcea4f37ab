"""Compile the compiled engine's kernels in a process of their own, while another engine answers.

The process has the lowest priority and a session of its own: Ctrl-C in the terminal does not end
it, nor does the end of the program that started it, whose next start then finds the kernels. It
ends by itself when they are kept, or after `MOST_SECONDS`.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from paddlevideo.runtime.engines.base import UnsupportedProgramError
from paddlevideo.runtime.engines.compiled.kernel_files import (
    compiling_alone,
    kernel_key,
    read_kernels,
    writable_folder,
)

logger = logging.getLogger(__name__)

MOST_SECONDS = 1800
KEPT, UNSUPPORTED, OTHER_SOURCES, NOT_KEPT = 0, 3, 4, 5  # exit codes
_REASONS = {
    OTHER_SOURCES: "the package was changed while it runs",
    NOT_KEPT: "the result could not be kept",
}
_POLL_SECONDS = 0.1
_BEGINNING = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "


class CompileProcess:
    """The process, and what became of it.

    Args:
        program: an ONNX file; nothing is compiled if the engine does not know its operations.
        command: what to start, for tests; default: `main` in a Python like this one.

    Attributes:
        error: why there are no kernels, once it has failed.
        is_unsupported: nothing was compiled, as the engine does not know the program.
    """

    def __init__(self, program: Path, command: Sequence[str] | None = None) -> None:
        self.program = program
        self._done = threading.Event()
        self.error: str | None = None
        self.is_unsupported = False
        self._command = list(command or _command(program))
        self._log: Path | None = None
        self._said = threading.Lock()  # held for ever from the first time on
        threading.Thread(target=self._run, name="compiling", daemon=True).start()

    def wait(self, is_unwanted: Callable[[], bool] = lambda: False) -> bool:
        """Wait for its end, or until nobody wants it any more; whether there are kernels now."""
        while not self._done.wait(_POLL_SECONDS):
            if is_unwanted():
                return False
        return self.error is None and not self.is_unsupported

    def say_failure(self) -> None:
        """Say why there are no kernels, once for all who waited."""
        if self.error is not None and self._said.acquire(blocking=False):
            logger.warning(
                "the compiled engine could not be compiled in the background (%s); another engine "
                "goes on. `paddlevideo warm-up` tries again and says more", self.error,
            )  # fmt: skip

    def _run(self) -> None:
        """Start it, wait, and reap it: this thread is there for as long as the program is."""
        try:
            self._judge(self._start().wait(MOST_SECONDS))
        except (OSError, subprocess.SubprocessError) as error:
            self.error = str(error)
        finally:
            self._done.set()

    def _start(self) -> "subprocess.Popen[bytes]":
        folder = writable_folder()
        if folder is None:
            return subprocess.Popen([sys.executable, "-c", f"raise SystemExit({NOT_KEPT})"])
        self._log = folder / f"{kernel_key()}.log"
        with self._log.open("wb") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def _judge(self, code: int) -> None:
        if code == UNSUPPORTED:
            self.is_unsupported = True
        elif code != KEPT:
            self.error = _REASONS.get(code) or f"exit code {code}: {self._last_line()}"
        elif not read_kernels():
            self.error = _REASONS[NOT_KEPT]

    def _last_line(self) -> str:
        lines: list[str] = []
        with suppress(OSError):
            if self._log is not None:
                lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it says nothing"


_STARTED: dict[str, CompileProcess] = {}
_STARTING = threading.Lock()


def compile_process(program: Path) -> CompileProcess:
    """The process that compiles for this one: there is one at a time.

    It may have been started for another program, which the engine then does not know; so ask again
    if it ends with `CompileProcess.is_unsupported`.
    """
    with _STARTING:
        started = _STARTED.get(kernel_key())
        if started is None or (started.is_unsupported and started.program != program):
            started = _STARTED[kernel_key()] = CompileProcess(program)
        return started


def can_start() -> bool:
    """Whether there is a Python to start: a frozen program would start itself once more."""
    return bool(sys.executable) and not vars(sys).get("frozen")


def _command(program: Path) -> list[str]:
    code = f"{_BEGINNING}from {__name__} import main; main(sys.argv[2:])"
    paths = [str(Path(entry).resolve()) for entry in sys.path]
    arguments = [json.dumps(paths), kernel_key(), str(program.resolve())]
    return [sys.executable, "-W", "ignore", "-c", code, *arguments]


def main(arguments: Sequence[str]) -> None:
    """The process: compile, unless another process has done it meanwhile.

    Args:
        arguments: the key of the kernels that are wanted, and the program's file.

    Raises:
        SystemExit: with one of the codes above.
    """
    key, program = arguments
    _give_way()
    _end_after(MOST_SECONDS)
    if key != kernel_key():
        raise SystemExit(OTHER_SOURCES)
    folder = writable_folder()
    if folder is None:
        raise SystemExit(NOT_KEPT)
    with compiling_alone(folder):
        if not read_kernels():
            raise SystemExit(_compile(Path(program), folder))


def _compile(program: Path, folder: Path) -> int:
    from paddlevideo.runtime.engines.compiled.engine import read_program
    from paddlevideo.runtime.engines.compiled.kernel_loader import compile_and_keep

    try:
        read_program(program)
    except UnsupportedProgramError:
        return UNSUPPORTED
    compile_and_keep(folder)
    return KEPT if read_kernels() else NOT_KEPT


def _give_way() -> None:
    with suppress(OSError, AttributeError):  # Windows has no niceness; it then competes
        os.nice(19)


def _end_after(seconds: float) -> None:
    """End this process, whatever it does: it must not outlive everybody."""

    def end() -> None:
        time.sleep(seconds)
        os._exit(NOT_KEPT)

    threading.Thread(target=end, daemon=True).start()
