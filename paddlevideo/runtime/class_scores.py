"""From logits to the best classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FEW = 8  # classes, up to which the best is looked for so often


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
    order = _order(probabilities_N, top_k)
    scores = [float(probabilities_N[index]) for index in order]
    names = [labels[index] for index in order] if labels else [None] * len(order)
    return tuple(map(ClassScore, names, order, scores))


def _order(probabilities_N: np.ndarray, top_k: int) -> list[int]:
    """Numbers of the best classes; few are picked one by one: each frame of a stream comes here."""
    if top_k <= _FEW and top_k < len(probabilities_N):
        left, order = probabilities_N.copy(), []
        for _ in range(top_k):
            index = int(left.argmax())
            if not left[index] > -np.inf:  # what is no number comes last
                break
            order.append(index)
            left[index] = -np.inf
        else:
            return order
    found: list[int] = np.argsort(-probabilities_N, kind="stable")[:top_k].tolist()
    return found
