"""What can be quantised: the damage of each layer and state to the logits, a choice within a limit.

Damage is the root mean square of what the logits change by, after every frame of some clips, as a
share of the standard deviation of the float32 logits.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from paddlevideo.export.onnx_weights import Storage
from paddlevideo.export.quantization.step_graphs import open_runner, run_clips
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.utils.progress import track

if TYPE_CHECKING:
    from onnx import ModelProto

logger = logging.getLogger(__name__)

# Makes a graph in which the layers and states of these names are quantised, and the weights of the
# other layers are stored so.
Build = Callable[[Collection[str], Storage], "ModelProto"]


@dataclass(frozen=True)
class Damage:
    """How far the logits of a quantised graph are from the float32 ones.

    Attributes:
        error: root mean square, in standard deviations of the float32 logits.
        agreement: share of the clips whose best class behind the last frame is the same.
    """

    error: float
    agreement: float


class Judge:
    """Compares graphs with the float32 one, on the same clips.

    Args:
        clips_BTCHW: to run them on.
    """

    def __init__(self, bundle: Bundle, model: "ModelProto", clips_BTCHW: np.ndarray) -> None:
        self._bundle = bundle
        self._clips = clips_BTCHW
        self._expected = self._logits(model)

    def _logits(self, model: "ModelProto") -> np.ndarray:
        return run_clips(open_runner(self._bundle, model, len(self._clips)), self._clips)

    def __call__(self, model: "ModelProto") -> Damage:
        """The damage of this graph."""
        logits_TBN = self._logits(model)
        error = np.sqrt(np.mean((logits_TBN - self._expected) ** 2)) / self._expected.std()
        same = logits_TBN[-1].argmax(axis=-1) == self._expected[-1].argmax(axis=-1)
        return Damage(float(error), float(same.mean()))


def damage_of_each(judge: Judge, names: Sequence[str], build: Build) -> dict[str, float]:
    """The error that each layer or state causes when it alone is quantised."""
    return {
        name: judge(build({name}, "float32")).error
        for name in track(names, len(names), "sensitivity")
    }


def choose_float(
    judge: Judge, damages: dict[str, float], build: Build, max_error: float
) -> tuple[set[str], Damage]:
    """The fewest of the worst to keep in float for an error of at most ``max_error``.

    Args:
        damages: of each layer and state that may be quantised, from `damage_of_each`.

    Returns:
        Names of those to keep, and the damage of the graph without them.
    """
    ranked = sorted(damages, key=lambda name: -damages[name])

    def damage(kept: int) -> Damage:
        found = judge(build(set(ranked[kept:]), "float16"))
        logger.info("%d of %d in float: error %.4f", kept, len(ranked), found.error)
        return found

    low, high = 0, len(ranked)  # `high` is enough, fewer than `low` are not
    found = damage(0)
    if found.error <= max_error:
        return set(), found
    found = damage(high)
    while high - low > 1:
        middle = (low + high) // 2
        tried = damage(middle)
        if tried.error <= max_error:
            high, found = middle, tried
        else:
            low = middle
    return set(ranked[:high]), found
