"""`SameStart`: the processes of a launch begin alike, or none of them begins.

Nodes may have other files under the same names: another list, a config with another change, no
checkpoint where the first node found one. The processes would then train different models, average
their gradients all the same, and wait for each other at the end.
"""

import json
import zlib
from collections.abc import Mapping

import numpy as np

from paddlevideo.loader import ClipLoader
from paddlevideo.modeling.distributed import exchange, world_size
from paddlevideo.tasks.hooks import Hook, Training
from paddlevideo.tasks.recipe import Recipe
from paddlevideo.utils.config import to_yaml
from paddlevideo.utils.errors import ConfigError
from paddlevideo.weights import model_arrays

# What may differ between nodes: where their files lie, and how many cores they have.
_OF_A_NODE = {"DATASET", "output_dir", "weights", "num_threads", "log_level"}


class SameStart(Hook):
    """Compares the processes before the first step; in a single process it does nothing.

    Args:
        loaders: of the splits, by name; None where there is none.
    """

    def __init__(self, loaders: Mapping[str, ClipLoader | None]) -> None:
        self._loaders = loaders

    def on_train_start(self, training: Training) -> None:
        """Raise `ConfigError` in every process if one of them begins unlike the first."""
        if world_size() == 1:
            return
        facts = {
            "the config, but for DATASET and what is of one machine": _of_recipe(training.recipe),
            "the epoch to go on with": training.position.epoch,
            "the step to go on with": training.position.step,
        }
        for split, loader in self._loaders.items():
            facts[f"the labels of the {split} split"] = _of_labels(loader)
            facts[f"the batch size of the {split} split"] = loader.batch_size if loader else 0
        facts["the weights"] = _of_arrays(_alike_arrays(training))
        check_alike(facts)


def check_alike(facts: Mapping[str, int]) -> None:
    """Raise `ConfigError`, in every process, unless all have the same numbers.

    Args:
        facts: whole numbers by what they say; every process calls it with these keys.
    """
    rows = [json.loads(text) for text in exchange(json.dumps(facts))]
    for what in facts:
        unlike = [number for number, row in enumerate(rows) if row[what] != rows[0][what]]
        if unlike:
            raise ConfigError(
                f"the processes do not begin alike: {what} of process {unlike[0]} differs from "
                "that of process 0. Every node needs the same config, the same lists and, to go "
                "on, the same run folder (docs/distributed.md)"
            )


def _alike_arrays(training: Training) -> dict[str, np.ndarray]:
    """The arrays that all have: within an epoch each has running statistics of its own."""
    arrays = model_arrays(training.model)
    if training.position.step == 0:
        return arrays
    trained = {n for n, p in training.model.named_parameters() if not p.stop_gradient}
    return {name: array for name, array in arrays.items() if name in trained}


def _of_recipe(recipe: Recipe) -> int:
    return zlib.crc32(to_yaml(recipe.model_dump(exclude=_OF_A_NODE)).encode())


def _of_labels(loader: ClipLoader | None) -> int:
    if loader is None:
        return 0
    labels = np.array([record.label for record in loader.dataset.records], np.int64)
    return zlib.crc32(labels.tobytes(), len(labels))


def _of_arrays(arrays: Mapping[str, np.ndarray]) -> int:
    total = 0
    for name, array in arrays.items():
        total = zlib.crc32(np.ascontiguousarray(array), zlib.crc32(name.encode(), total))
    return total
