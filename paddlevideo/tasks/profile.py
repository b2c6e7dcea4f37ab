"""A profile of some steps of a training: a trace for a browser, and the dearest operations."""

import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from paddle import profiler

from paddlevideo.modeling.distributed import is_main
from paddlevideo.tasks.hooks import Hook, StepEnd, Training
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.utils.nodes import ReadNode

logger = logging.getLogger(__name__)

TRACE_NAME = "profile.json"
WARM_UP_STEPS = 5
_TABLE_ROWS = 15
_OPERATORS, _KERNELS = "Operator", "Kernel"  # categories of Paddle's trace: host, GPU
# Paddle writes "conv3d dygraph[14.405 ms]", "Global_Conv3dGradNode[24.046 ms]".
_MEASURED = re.compile(r"\[[\d.]+ \w+\]$")
_AFFIXES = re.compile(r"^Global_| dygraph$")


@dataclass(frozen=True)
class Cost:
    """What an operation took, without the operations that it called.

    Attributes:
        milliseconds: of all its calls.
        calls: of all steps.
    """

    name: str
    milliseconds: float
    calls: int


class Profile(Hook):
    """Paddle's profiler over some steps of this process (`paddle.profiler`).

    Args:
        steps: that are recorded.
        first: steps that are taken before.
        path: of the trace; by default `TRACE_NAME` in the run's folder.
        ends_training: whether the training is saved and ends then.
    """

    def __init__(
        self,
        steps: int,
        first: int = WARM_UP_STEPS,
        path: Path | None = None,
        ends_training: bool = False,
    ) -> None:
        self.steps, self.first = steps, first
        self.path = path
        self.ends_training = ends_training
        self._taken = 0
        self._profiler: profiler.Profiler | None = None

    def on_train_start(self, training: Training) -> None:
        """Check that the training has so many steps.

        Raises:
            ConfigError: it has fewer.
        """
        left = training.length.steps - training.position.iterations
        if left < self.first + self.steps:
            raise ConfigError(
                f"a profile of {self.steps} steps after {self.first} others needs "
                f"{self.first + self.steps}, and the training has {left} left; profile fewer"
            )
        if self.first == 0:
            self._start()

    def on_step_end(self, training: Training, step: StepEnd) -> None:
        """Begin, go on or end."""
        self._taken += 1
        if self._profiler is not None:
            self._profiler.step()
        if self._taken == self.first:
            self._start()
        elif self._taken == self.first + self.steps:
            self._write(training)
            if self.ends_training:
                training.stop("the profile is written: training ends")

    def on_train_end(self, training: Training) -> None:
        """Leave no profiler on, where the training ended early."""
        if self._profiler is not None:
            self._profiler.stop()
            self._profiler = None
            logger.warning("training ended before the profile was whole: none is written")

    def _start(self) -> None:
        if is_main():
            self._profiler = profiler.Profiler(on_trace_ready=lambda _: None)
            self._profiler.start()

    def _write(self, training: Training) -> None:
        if self._profiler is None:
            return
        self._profiler.stop()
        path = self.path or training.folder / TRACE_NAME
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()  # Paddle would not say that it cannot write
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}") from None
        self._profiler.export(str(path), format="json")
        self._profiler = None
        _log_dearest(path, self.steps)


def _log_dearest(path: Path, steps: int) -> None:
    logger.info(
        "profile of %d steps: %s; open it at ui.perfetto.dev or chrome://tracing", steps, path
    )
    events = json.loads(path.read_text(encoding="utf-8", errors="replace"))["traceEvents"]
    for title, category in (("operations", _OPERATORS), ("kernels of the GPU", _KERNELS)):
        costs = costs_of(events, category)
        total = sum(cost.milliseconds for cost in costs)
        if not total:
            continue
        logger.info("dearest %s, each without what it calls: ms a step, share, calls a step", title)
        for cost in costs[:_TABLE_ROWS]:
            logger.info(
                "%9.2f ms %6.1f %% %7.1f  %s",
                cost.milliseconds / steps, 100 * cost.milliseconds / total, cost.calls / steps,
                cost.name,
            )  # fmt: skip


def costs_of(events: Iterable[ReadNode], category: str) -> list[Cost]:
    """The operations of a Chrome trace by their own time, the dearest first.

    Args:
        events: ``traceEvents``; of them those with a duration, in microseconds.
    """
    threads: dict[object, list[ReadNode]] = defaultdict(list)
    for event in events:
        if event.get("ph") == "X" and event.get("cat") == category:
            threads[event.get("pid"), event.get("tid")].append(event)
    times: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for own in threads.values():
        _add_own_times(own, times, calls)
    costs = [Cost(name, time / 1e3, calls[name]) for name, time in times.items()]
    return sorted(costs, key=lambda cost: -cost.milliseconds)


def _add_own_times(events: list[ReadNode], times: dict[str, float], calls: dict[str, int]) -> None:
    """Add each event's duration to its name, and take it from the event that it lies in."""
    around: list[tuple[str, float]] = []  # name and end of those that are open
    for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
        name = _name_of(event)
        while around and around[-1][1] <= event["ts"]:
            around.pop()
        if around:
            times[around[-1][0]] -= event["dur"]
        times[name] += event["dur"]
        calls[name] += 1
        around.append((name, event["ts"] + event["dur"]))


def _name_of(event: Mapping[str, object]) -> str:
    return _AFFIXES.sub("", _MEASURED.sub("", str(event["name"])))
