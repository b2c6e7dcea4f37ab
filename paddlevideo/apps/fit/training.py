"""Start the processes of a training, follow them by what they write, and end them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.tasks.run_folder import METRICS_NAME
from paddlevideo.utils.errors import DeviceError
from paddlevideo.utils.growing_lines import GrowingLines
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.processes import GRACE_SECONDS

_POLL_SECONDS = 0.5
_LOG_LINES = 15  # of a training that failed, in the message
SCRIPT = Path(__file__).with_name("launched.py")


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        share: of its steps, from 0 to 1.
        epoch: that it is in, from 1.
        headline: name and value of the newest validation result; None before the first.
    """

    share: float
    epoch: int
    headline: tuple[str, float] | None


def command_of(config: Path, weights: str | None, processes: int, log: Path) -> list[str]:
    """The command that trains by a config on so many processes of this machine."""
    script = [str(SCRIPT), "-c", str(config), "--parent", str(os.getpid())]
    script += ["-w", weights] if weights else []
    if processes == 1:
        return [sys.executable, *script]
    launch = ["-m", "paddle.distributed.launch", "--nproc_per_node", str(processes)]
    return [sys.executable, *launch, "--log_dir", str(log), *script]


def train(command: Sequence[str], run: Path, report: Callable[[Progress], None]) -> None:
    """Run a training to its end.

    Interrupted (Ctrl-C), it ends all its processes and raises `KeyboardInterrupt` as ever.

    Raises:
        DeviceError: it ended with an error; the message has the end of its log.
    """
    log_file = run / "train.log"
    follower = _Follower(run / METRICS_NAME)
    with log_file.open("ab") as log:
        # A group of its own: a Ctrl-C at the terminal comes to this process alone.
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            for progress in follower.new_progress():
                report(progress)
        for progress in follower.new_progress():
            report(progress)
    finally:
        end_group(process)
    if process.returncode != 0:
        raise DeviceError(
            f"training ended with an error (exit code {process.returncode}); the whole log is in "
            f"{log_file}:\n{_end_of(run, log_file)}"
        )


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started: ask, wait a grace period, kill."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
            if kind == signal.SIGTERM and not _group_lives(process.pid):
                return


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _end_of(run: Path, log_file: Path) -> str:
    """The last lines that were printed; of the launcher's processes the first one's."""
    texts = [log_file, *sorted((run / "log").glob("workerlog.*"))]
    lines = [
        line
        for path in texts
        if path.is_file()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
    ]
    errors = [line for line in lines if line.startswith("error: ")]
    return "\n".join(errors[:1] or lines[-_LOG_LINES:])


class _Follower:
    """Reads what is added to ``metrics.jsonl``."""

    def __init__(self, path: Path) -> None:
        self._lines = GrowingLines(path, from_now=True)
        self._steps, self._epochs = 1, 1
        self._headline: tuple[str, float] | None = None

    def new_progress(self) -> Iterator[Progress]:
        """What became known since the last call."""
        for line in self._lines.new():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                yield from self._of(line)

    def _of(self, line: Node) -> Iterator[Progress]:
        kind = line["kind"]
        if kind in ("start", "resume"):
            self._steps, self._epochs = line["steps_per_epoch"], line["epochs"]
        elif kind in ("train", "train_epoch"):
            done = (line["epoch"] - 1) * self._steps
            done += line["step"] + 1 if kind == "train" else self._steps
            share = done / (self._steps * self._epochs)
            yield Progress(share, line["epoch"], self._headline)
        elif kind == "valid":
            name = str(line["headline"])
            self._headline = (name, float(line[name]))
            yield Progress(line["epoch"] / self._epochs, line["epoch"], self._headline)
