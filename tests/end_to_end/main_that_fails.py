"""``main.py`` in which one process alone fails: ``main_that_fails.py RANK PLACE ...``.

PLACE is where: ``read`` (a training sample), ``validate`` (a validation sample), ``step`` (a
training step) or ``save`` (writing a checkpoint).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from paddlevideo.cli.main import run_tool
from paddlevideo.loader.dataset.base import ClipDataset
from paddlevideo.modeling.distributed import rank
from paddlevideo.tasks.checkpoint import Checkpoints
from paddlevideo.tasks.step import TrainStep
from paddlevideo.utils.errors import DataError


def failing(owner: type, method: str, when) -> None:
    """Have ``method`` raise in the one process, from its second call that ``when`` is about."""
    own, calls = getattr(owner, method), []

    def call(self, *arguments, **options):
        if rank() == RANK and when(self):
            calls.append(1)
            if len(calls) > 1:
                raise DataError(f"only here: {PLACE}")
        return own(self, *arguments, **options)

    setattr(owner, method, call)


if __name__ == "__main__":
    RANK, PLACE = int(sys.argv[1]), sys.argv[2]
    del sys.argv[1:3]
    {
        "read": lambda: failing(ClipDataset, "__getitem__", lambda d: d.context.pipeline.training),
        "validate": lambda: failing(
            ClipDataset, "__getitem__", lambda d: not d.context.pipeline.training
        ),
        "step": lambda: failing(TrainStep, "__call__", lambda step: True),
        "save": lambda: failing(Checkpoints, "save", lambda checkpoints: True),
    }[PLACE]()
    run_tool("train_or_test")
