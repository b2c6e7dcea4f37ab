"""Watch a training from another terminal: a progress bar fed by the run's metrics.jsonl."""

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

from paddlevideo.utils.growing_lines import GrowingLines
from paddlevideo.utils.nodes import Node

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


def follow(lines: GrowingLines, pid: int | None) -> None:
    """Show the bar until the process has ended."""
    from tqdm import tqdm

    with tqdm(desc="waiting for the first step", unit="step", dynamic_ncols=True) as bar:
        steps = 0
        for line in new_lines(lines, pid):
            if line["kind"] in ("start", "resume"):
                steps = line["steps_per_epoch"]
                bar.total = line["epochs"] * steps
                bar.initial = bar.n = line["epoch"] * steps
                bar.start_t = bar.last_print_t = time.time()
            elif line["kind"] == "train":
                bar.n = (line["epoch"] - 1) * steps + line["step"] + 1
                bar.set_description(f"epoch {line['epoch']}, loss {line['loss']:.3f}")
            elif line["kind"] == "train_epoch":
                bar.n = line["epoch"] * steps
                bar.refresh()
            elif line["kind"] == "valid":
                name = line.get("headline", "loss")
                bar.set_postfix_str(f"validation {name} {line[name]:.3f}")


def run(arguments: argparse.Namespace) -> None:
    lines = GrowingLines(arguments.folder / METRICS_NAME, arguments.from_now)
    follow(lines, arguments.pid)
