"""How fast the pipeline of a config reads clips, and how fast a training step takes them."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from paddle import Tensor

from paddlevideo.apps.recipes import open_model
from paddlevideo.loader import ClipLoader
from paddlevideo.modeling.device import setup_device
from paddlevideo.solver import build_optimizer
from paddlevideo.tasks.build import build_split
from paddlevideo.tasks.recipe import DatasetSection, Recipe
from paddlevideo.tasks.step import Precision, TrainStep

_MOST_SAMPLES = 48
_MOST_SECONDS = 20.0  # of reading, and of stepping
_MOST_STEPS = 3
_MOST_CLIPS = 8  # in a batch: a step of more takes no fewer seconds a clip on a CPU
_OPTIMIZER = {"name": "AdamW", "learning_rate": 0.0, "weight_decay": 0.0}


@dataclass(frozen=True)
class Throughput:
    """Clips per second.

    Attributes:
        reading: by the loader with the config's workers.
        training: by forward, backward and update on batches that are already there.
        num_workers: processes that read.
        device: that trains.
    """

    reading: float
    training: float
    num_workers: int
    device: str

    def sentences(self) -> list[str]:
        """The numbers, and what follows from them."""
        ratio = self.reading / self.training
        numbers = (
            f"The pipeline reads {self.reading:.2f} clips/s with {self.num_workers} workers; a "
            f"training step on {self.device} takes {self.training:.2f} clips/s"
        )
        if ratio >= 1:
            return [f"{numbers}: reading is {ratio:.1f} times as fast as needed."]
        return [
            f"{numbers}: training would wait for clips {1 - ratio:.0%} of the time. More workers "
            "(DATASET.num_workers), shorter videos or a smaller short side (paddlevideo prepare "
            "--short_side) help."
        ]


def measure_throughput(recipe: Recipe, left_out: Collection[int] = ()) -> Throughput | None:
    """Measure both briefly, one after the other, on samples of the split ``train``.

    Weights are random, and nothing is written.

    Args:
        left_out: indices of samples that cannot be read.

    Returns:
        None where there is no split ``train``, or fewer than two of its samples can be read.

    Raises:
        ConfigError, DataError: as training would.
    """
    section = recipe.DATASET
    if section is None or section.train is None or recipe.PIPELINE.train is None:
        return None
    device = setup_device(recipe.device, recipe.num_threads)
    dataset = build_split(recipe, "train", training=True)
    usable = [index for index in range(len(dataset)) if index not in left_out]
    step_size = max(1, len(usable) // _MOST_SAMPLES)
    dataset.keep(usable[::step_size][:_MOST_SAMPLES])
    if len(dataset.records) < 2:
        return None
    loader = ClipLoader(
        dataset,
        _batch_size(section, len(dataset.records)),
        training=True,
        num_workers=section.num_workers,
        seed=recipe.seed,
    )
    reading, batch = _reading(loader)
    return Throughput(reading, _training(recipe, batch), section.num_workers, device)


def _batch_size(section: DatasetSection, num_samples: int) -> int:
    """Small enough for several batches, so that what was read ahead can be left out."""
    return max(1, min(section.batch_size, _MOST_CLIPS, num_samples // 4))


def _reading(loader: ClipLoader) -> tuple[float, dict[str, Tensor]]:
    """Clips per second once all workers run, and the last batch.

    What the workers read while the first batch was waited for is not counted: as many batches as
    they may have ready are passed over.
    """
    ready = 2 * loader.num_workers
    epochs = -(-(ready + 4) // len(loader))
    begun, batches = time.perf_counter(), 0
    counted_from = begun
    clips = 0
    batch: dict[str, Tensor] = {}
    stream: Iterator[dict[str, Tensor]] = loader.epochs(0, epochs)
    for each in stream:
        batch, now = each, time.perf_counter()
        batches += 1
        if batches <= ready:
            counted_from = now
            continue
        clips += loader.batch_size
        if now - begun > _MOST_SECONDS:
            break
    return clips / (time.perf_counter() - counted_from), batch


def _training(recipe: Recipe, batch: dict[str, Tensor]) -> float:
    """Clips per second of the fastest of a few steps."""
    model = open_model(recipe, None)
    model.train()
    step = TrainStep(model, build_optimizer(_OPTIMIZER, model, "OPTIMIZER"), Precision())
    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) < _MOST_STEPS and time.perf_counter() - begun < _MOST_SECONDS:
        start = time.perf_counter()
        float(step(batch, 0.0, 1, True)["loss"])  # waits for the device
        taken.append(time.perf_counter() - start)
    return len(batch["label"]) / min(taken)
