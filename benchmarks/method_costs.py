"""What training methods cost beside a training step of MoViNet-A0, in turns.

python benchmarks/method_costs.py [--model movinet_a0_base] [--teacher movinet_a2_base] [--batch 4]
    [--frames 8] [--size 64] [--blocks 5]

A step is forward, backward and update. Printed are milliseconds, and the least as a share of the
least of a step: one update of the average of all weights, and a forward pass of a teacher.
"""

import argparse
from collections.abc import Callable
from typing import Any

from turns import in_turns


def runs_of(arguments: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    import numpy as np
    import paddle

    from paddlevideo.modeling import build_recognizer, model_section
    from paddlevideo.solver import build_optimizer
    from paddlevideo.tasks.average import AverageSection, WeightAverage
    from paddlevideo.tasks.distill import Teacher
    from paddlevideo.tasks.hooks import StepEnd
    from paddlevideo.tasks.step import Precision, TrainStep

    model, taught_by = (
        build_recognizer(model_section(name, num_classes=600))
        for name in (arguments.model, arguments.teacher)
    )
    optimizer = build_optimizer({"name": "AdamW", "learning_rate": 0.1}, model, "OPTIMIZER")
    step = TrainStep(model, optimizer, Precision())
    average = WeightAverage(model, AverageSection(), "benchmark")
    average.on_train_start(None)  # type: ignore[arg-type]  # it does not look at the training
    teacher = Teacher(taught_by, {}, None, arguments.teacher)
    shape = (arguments.batch, arguments.frames, 3, arguments.size, arguments.size)
    clip = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
    label = paddle.zeros([arguments.batch], "int64")
    batch = {"clip": paddle.to_tensor(clip), "label": label}
    end = StepEnd(batch, {}, 0.1, True)
    model.train()
    return {
        "step": lambda: step(batch, 1e-4, 1, update=True),
        "average": lambda: average.on_step_end(None, end),  # type: ignore[arg-type]
        "teacher": lambda: teacher.logits(batch).numpy(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="movinet_a0_base")
    parser.add_argument("--teacher", default="movinet_a2_base")
    for name, default in (("batch", 4), ("frames", 8), ("size", 64), ("blocks", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    taken = in_turns(runs_of(arguments), arguments.blocks, 3, 1)
    for name, times in taken.items():
        share = times.least / taken["step"].least
        print(f"{name:8} least {times.least:8.1f} ms, median {times.median:8.1f}  {share:6.1%}")


if __name__ == "__main__":
    main()
