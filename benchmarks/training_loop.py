"""What the training loop adds to bare forward, backward and step: `Trainer` with all its own hooks.

python benchmarks/training_loop.py [-c CONFIG] [--frames N] [--size N] [--batch N]

Both train the same model by the same optimizer on the same batches, which lie in memory: a block of
steps of the loop, a block of bare ones, and again, in one process. Of each block the mean is taken,
and the ratio within each pair of blocks. CPU time is that of all threads of the process; on a
machine that does other things too, it says more than wall time. The line "within" needs no second
model: of the CPU time of the loop's own steps, what its forward, backward and step took.

The last line is what a step waits for a checkpoint, which is written beside the training: for the
check that all is finite and for the copy; and how long writing it takes.
"""

import argparse
import contextlib
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import Tensor

from paddlevideo.apps.recipes import open_model, open_recipe
from paddlevideo.modeling.device import setup_device
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.solver import build_optimizer
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.tasks.train import Trainer
from paddlevideo.utils.logging import setup_logging

Batch = dict[str, Tensor]


class Within:
    """The CPU seconds that forward, backward and step take inside the loop."""

    def __init__(self, trainer: Trainer) -> None:
        self.seconds = 0.0
        step = trainer.step
        step.module.forward = self._timed(step.module.forward)
        step.optimizer.step = self._timed(step.optimizer.step)
        step.optimizer.clear_grad = self._timed(step.optimizer.clear_grad)

    @contextlib.contextmanager
    def backward(self) -> Iterator[None]:
        """Times backward passes too, for as long."""
        before = paddle.Tensor.backward
        paddle.Tensor.backward = self._timed(before)
        try:
            yield
        finally:
            paddle.Tensor.backward = before

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            begun = time.process_time()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds += time.process_time() - begun

        return timed


class Pairs:
    """The loop's loader: gives batches, and times what happens between two of them.

    Attributes:
        loop, bare: CPU and wall seconds a step, one of each block.
        shares: CPU seconds of the loop's steps, and of their forward, backward and step.
    """

    num_samples = 0

    def __init__(
        self, batches: list[Batch], bare: Callable[[Batch], None], blocks: int, within: Within
    ) -> None:
        self.batches, self.bare_step, self.blocks = batches, bare, blocks
        self.dropped = 2
        self.batch_size = batches[0]["label"].shape[0]
        self.within = within
        self.shares: list[tuple[float, float]] = []
        self.loop: list[tuple[float, float]] = []
        self.bare: list[tuple[float, float]] = []

    def __len__(self) -> int:
        """Steps of the loop."""
        return self.blocks * (self.dropped + len(self.batches)) + 1

    def epochs(self, first: int, last: int, start_step: int = 0) -> Iterator[Batch]:
        """Give each block's batches, and take the bare steps between two blocks."""
        for _ in range(self.blocks):
            for number in range(self.dropped):
                yield self.batches[number]
            begun, inside = _clocks(), self.within.seconds
            yield from self.batches
            self.loop.append(self._a_step(begun))
            inside = (self.within.seconds - inside) / len(self.batches)
            self.shares.append((self.loop[-1][0], inside))
            for number in range(self.dropped):
                self.bare_step(self.batches[number])
            begun = _clocks()
            for batch in self.batches:
                self.bare_step(batch)
            self.bare.append(self._a_step(begun))
        yield self.batches[0]  # the loop does not ask again after its last one

    def _a_step(self, begun: tuple[float, float]) -> tuple[float, float]:
        cpu, wall = _clocks()
        return (cpu - begun[0]) / len(self.batches), (wall - begun[1]) / len(self.batches)


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def recipe_for(config: str, folder: Path, batch: int, steps: int) -> Recipe:
    """The config with a list of so many videos, which nobody opens."""
    listed = folder / "train.list"
    listed.write_text("".join(f"{n}.mp4 0\n" for n in range(batch * steps)))
    overrides = {
        "DATASET": f"{{batch_size: {batch}, train: {{format: VideoDataset, file_path: {listed}}}}}",
        "output_dir": str(folder / "run"),
        "epochs": 1,
        "val_interval": 1,
        "save_interval": 1,
    }
    return open_recipe(config, [f"{key}={value}" for key, value in overrides.items()])


def bare_step_of(model: Recognizer, recipe: Recipe) -> Callable[[Batch], None]:
    """Forward, backward, step, and nothing else."""
    if recipe.OPTIMIZER is None:
        raise SystemExit("the config has no OPTIMIZER")
    optimizer = build_optimizer(recipe.OPTIMIZER, model, "OPTIMIZER")
    model.train()

    def step(batch: Batch) -> None:
        model.loss(batch)["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()

    return step


def checkpoint_times(trainer: Trainer, saves: int = 5) -> list[tuple[float, float]]:
    """Milliseconds that a step waits for a checkpoint, and until it is written."""
    taken = []
    with trainer.files.held():
        for _ in range(saves):
            begun = time.perf_counter()
            trainer._save()
            waited = time.perf_counter()
            trainer.files.finish()
            taken.append((1e3 * (waited - begun), 1e3 * (time.perf_counter() - begun)))
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-c", "--config", default="movinet_a0_motion")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4, help="of a block")
    parser.add_argument("--blocks", type=int, default=20)
    arguments = parser.parse_args()
    setup_device("cpu")
    setup_logging("WARNING")
    shape = (arguments.batch, arguments.frames, 3, arguments.size, arguments.size)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        steps = arguments.blocks * (arguments.steps + 2) + 1
        recipe = recipe_for(arguments.config, Path(folder), arguments.batch, steps)
        model, bare = open_model(recipe, None), open_model(recipe, None)
        batches = [
            {
                "clip": paddle.to_tensor(rng.integers(0, 256, shape, np.uint8)),
                "label": paddle.to_tensor(rng.integers(0, model.num_classes, (arguments.batch, 1))),
                "index": paddle.arange(arguments.batch),
                "replaced": paddle.zeros([arguments.batch], "bool"),
                "readable": paddle.ones([arguments.batch], "bool"),
            }
            for _ in range(arguments.steps)
        ]
        trainer = Trainer(recipe, model)
        within = Within(trainer)
        pairs = Pairs(batches, bare_step_of(bare, recipe), arguments.blocks, within)
        assert len(pairs) == len(trainer.train_loader)
        trainer.train_loader = pairs  # type: ignore[assignment]
        logging.getLogger("paddlevideo").setLevel("INFO")  # lines are made, and go to a file
        logging.getLogger("paddlevideo").handlers[0].setLevel("WARNING")
        with within.backward():
            trainer.run()
        waits = checkpoint_times(Trainer(recipe.model_copy(update={"overwrite": True}), model))
    for name, which in (("CPU", 0), ("wall", 1)):
        loop, own = ([1e3 * block[which] for block in side] for side in (pairs.loop, pairs.bare))
        ratios = sorted(a / b for a, b in zip(loop, own, strict=True))
        print(
            f"{name:5s} loop {statistics.median(loop):8.2f} ms (least {min(loop):8.2f})   "
            f"bare {statistics.median(own):8.2f} ms (least {min(own):8.2f})   "
            f"ratio of the least {min(loop) / min(own):.4f}, of the medians "
            f"{statistics.median(loop) / statistics.median(own):.4f}, "
            f"median of the pairs' {statistics.median(ratios):.4f}"
        )
    rest = sorted(loop - inside for loop, inside in pairs.shares)
    ratios = sorted(loop / inside for loop, inside in pairs.shares)
    print(
        f"within: {1e3 * statistics.median(rest):.2f} ms a step (least {1e3 * rest[0]:.2f}) are "
        f"not forward, backward and step: ratio {statistics.median(ratios):.4f} "
        f"(least {ratios[0]:.4f}, most {ratios[-1]:.4f})"
    )
    waited, written = zip(*waits, strict=True)
    print(
        f"checkpoint: a step waits {statistics.median(waited):.1f} ms (least {min(waited):.1f}), "
        f"it is written after {statistics.median(written):.1f} ms (least {min(written):.1f})"
    )


if __name__ == "__main__":
    main()
