"""``main.py`` in which something goes wrong: ``FAULT=kind:rank:step:seconds`` in the environment.

``data``: that process reads the batch of that step so much later; ``save``: it writes the state
after that step so much later; ``die``: it ends without a word before that step's update.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from paddlevideo.apps import training
from paddlevideo.cli.main import run_tool
from paddlevideo.modeling.distributed import rank
from paddlevideo.tasks.hooks import Hook
from paddlevideo.tasks.train import Trainer

KIND, RANK, STEP, SECONDS = os.environ["FAULT"].split(":")


class Fault(Hook):
    """Waits or ends after a step, in one process."""

    def __init__(self, trainer):
        self.trainer = trainer

    def on_step_end(self, training, step):
        if rank() != int(RANK) or training.position.iterations != int(STEP):
            return
        if KIND == "data":
            time.sleep(float(SECONDS))
        elif KIND == "die":
            os._exit(7)
        elif KIND == "save":
            write = self.trainer.files.save

            def slow(*arguments):
                time.sleep(float(SECONDS))
                write(*arguments)

            self.trainer.files.save = slow
            training.ask_to_save()


class FaultyTrainer(Trainer):
    def __init__(self, *arguments, hooks=(), **named):
        super().__init__(*arguments, hooks=[*hooks, Fault(self)], **named)


if __name__ == "__main__":
    training.Trainer = FaultyTrainer
    run_tool("train_or_test")
