"""Part the operations of a clip into stages: between two of them the whole clip has to be there.

A stage of *frames* works on each frame alone, but for at most one kernel over time behind another
operation; frames are shared out to threads. A *whole* stage begins with a sum over all frames, and
goes on with what is done to its result.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from paddlevideo.runtime.engines.compiled.clip_lowering import OVER_TIME
from paddlevideo.runtime.engines.compiled.operations import Operation


@dataclass
class Stage:
    """Operations between two points at which all frames are there.

    Attributes:
        of_frames: whether frames go through it alone.
        lead, trail: operations before a kernel over time, and from it on. Without one all are lead.
        before, after: frames around one that its kernels over time see.
    """

    of_frames: bool
    lead: list[Operation] = field(default_factory=list)
    trail: list[Operation] = field(default_factory=list)
    before: int = 0
    after: int = 0

    @property
    def operations(self) -> list[Operation]:
        """All in order."""
        return [*self.lead, *self.trail]


def clip_stages(operations: Iterable[Operation], frames_of: Callable[[str], int]) -> list[Stage]:
    """The stages of a program, in order.

    Args:
        frames_of: rows of a clip in a map.
    """
    operations = list(operations)
    readers = Counter(name for operation in operations for name in operation.read)
    parting = _Parting(frames_of, readers)
    for operation in operations:
        parting.add(operation)
    return [stage for stage in parting.stages if stage.operations]


class _Parting:
    """Stages of frames have even numbers, whole ones odd."""

    def __init__(self, frames_of: Callable[[str], int], readers: Counter[str]) -> None:
        self.frames_of, self.readers = frames_of, readers
        self.stages: list[Stage] = []
        self.number: dict[str, int] = {}
        self.trailing: set[str] = set()

    def add(self, operation: Operation) -> None:
        """Put an operation into the first stage in which all that it reads can be there."""
        latest = max((self.number.get(name, 0) for name in operation.read), default=0)
        is_pixel = operation.shape[1:] == (1, 1)
        over_time = operation.kind in OVER_TIME
        if operation.kind == "mix" or self.frames_of(operation.output) == 1:
            number = latest | 1
        elif is_pixel and latest % 2 and not over_time:
            number = latest
        else:
            number = latest + latest % 2
            if over_time and not self._joins(operation, number):
                number += 2
        while len(self.stages) <= number:
            self.stages.append(Stage(of_frames=len(self.stages) % 2 == 0))
        self._put(operation, number)

    def _joins(self, operation: Operation, number: int) -> bool:
        """Whether a kernel over time may read what the same stage makes, frame behind frame.

        What later stages read too is another thread's for the frames around a thread's own.
        """
        shared = any(
            self.number.get(name) == number and self.readers[name] > 1 for name in operation.inputs
        )
        return not shared and not self._follows(operation, number)

    def _follows(self, operation: Operation, number: int) -> bool:
        """Whether it reads what a kernel over time of the same stage has made."""
        return any(name in self.trailing and self.number[name] == number for name in operation.read)

    def _put(self, operation: Operation, number: int) -> None:
        stage = self.stages[number]
        if operation.kind in OVER_TIME:
            moves = operation.options["moves"]
            stage.before = max(stage.before, -min(*moves, 0))
            stage.after = max(stage.after, *moves, 0)
        if operation.kind in OVER_TIME or self._follows(operation, number):
            stage.trail.append(operation)
            self.trailing.update(operation.made)
        else:
            stage.lead.append(operation)
        self.number.update(dict.fromkeys(operation.made, number))
