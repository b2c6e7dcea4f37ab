"""From logits to the best classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClassScore:
    """One class and its probability.

    Attributes:
        label: the class's name; None where the bundle does not know it.
        index: the class's number.
        score: softmax probability.
    """

    label: str | None
    index: int
    score: float


class BestClass:
    """A result whose ``top`` holds the classes, best first; the best one's parts by name."""

    top: tuple[ClassScore, ...]

    @property
    def label(self) -> str | None:
        """Name of the best class."""
        return self.top[0].label

    @property
    def index(self) -> int:
        """Number of the best class."""
        return self.top[0].index

    @property
    def score(self) -> float:
        """Probability of the best class."""
        return self.top[0].score


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    shifted: np.ndarray = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shifted /= shifted.sum(axis=-1, keepdims=True)
    return shifted


def best_classes(
    probabilities_N: np.ndarray, labels: Sequence[str] | None, top_k: int
) -> tuple[ClassScore, ...]:
    """The ``top_k`` best classes, best first; of equal ones the first."""
    order = _order(probabilities_N, top_k).tolist()
    scores = probabilities_N[order].tolist()
    names = [labels[index] for index in order] if labels else [None] * len(order)
    return tuple(map(ClassScore, names, order, scores))


def _order(probabilities_N: np.ndarray, top_k: int) -> np.ndarray:
    """Numbers of the best classes; most are not sorted, as each frame of a stream comes here."""
    rest = len(probabilities_N) - top_k
    if rest > 0:
        least = np.partition(probabilities_N, rest)[rest]
        (candidates,) = np.nonzero(probabilities_N >= least)
        if len(candidates) >= top_k:  # else some are no numbers
            best = np.argsort(-probabilities_N[candidates], kind="stable")[:top_k]
            return np.asarray(candidates[best])
    return np.argsort(-probabilities_N, kind="stable")[:top_k]
