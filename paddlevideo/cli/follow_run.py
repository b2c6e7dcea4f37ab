"""Watch a training from another terminal: a progress bar fed by the run's metrics.jsonl.

A training in one process shows its own bar; several, whose output a launcher takes, show none.
"""

import argparse
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from paddlevideo.utils.growing_lines import GrowingLines
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.run_bar import RunBar

PACKAGES = ()

METRICS_NAME = "metrics.jsonl"  # of `paddlevideo.tasks.run_folder`, which imports Paddle
_POLL_SECONDS = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="the run's folder")
    parser.add_argument("--pid", type=int, help="stop when this process has ended")
    parser.add_argument(
        "--from_now", action="store_true", help="pass over what is in the file already"
    )


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that ended and waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        return not Path("/proc").is_dir()
    return state != "Z"


def new_lines(lines: GrowingLines, pid: int | None) -> Iterator[Node]:
    """Yield the objects of a growing JSON-lines file until ``pid`` has ended."""
    while True:
        alive = pid is None or is_alive(pid)
        yield from lines.new()
        if not alive:
            return
        time.sleep(_POLL_SECONDS)


class RunFollower:
    """The bar of a run, by the lines that it writes; it begins with the line that says how long."""

    def __init__(self) -> None:
        self.bar: RunBar | None = None
        self._steps, self._epochs = 1, 1
        self._validation: dict[str, float] = {}

    def take(self, line: Node) -> None:
        """Show what a line says."""
        kind = line["kind"]
        if kind in ("start", "resume"):
            self.close()
            self._steps, self._epochs = line["steps_per_epoch"], line["epochs"]
            done = line.get("iterations", line["epoch"] * self._steps)
            self.bar = RunBar(self._epochs * self._steps, done)
        elif kind == "train":
            self._move((line["epoch"] - 1) * self._steps + line["step"] + 1, line)
        elif kind == "train_epoch":
            self._move(line["epoch"] * self._steps, line)
        elif kind == "valid":
            name = str(line["headline"])
            self._validation = {f"valid {name}": line[name]}

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()

    def _move(self, steps: int, line: Node) -> None:
        if self.bar is None:
            return
        values = {"loss": line["loss"], **self._validation}
        self.bar.tell(f"epoch {line['epoch']}/{self._epochs}", values, line.get("seconds_left"))
        self.bar.n = steps
        self.bar.refresh()


def follow(lines: GrowingLines, pid: int | None) -> None:
    """Show the bar until the process has ended."""
    follower = RunFollower()
    for line in new_lines(lines, pid):
        with contextlib.suppress(KeyError, TypeError):  # no line of ours
            follower.take(line)
    follower.close()


def run(arguments: argparse.Namespace) -> None:
    lines = GrowingLines(arguments.folder / METRICS_NAME, arguments.from_now)
    follow(lines, arguments.pid)
