"""How often the clips of each class are drawn for training."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Balance = Literal["none", "sqrt", "classes"]

# A class of n clips is drawn in proportion to n to this power.
_POWERS: dict[Balance, float] = {"none": 1.0, "sqrt": 0.5, "classes": 0.0}


class ClassBalance:
    """Draws an epoch in which classes have other shares than in the data.

    A class of n clips gets n**p of sum(n**p): ``classes`` (p = 0) draws classes equally often,
    ``sqrt`` (p = 1/2) by the square root of their size, ``none`` (p = 1) as they are. An epoch is
    as many draws as there are clips. The draws of a class are rounded up or down by chance, so that
    their mean is exact; each of its clips is drawn as often as any other of it, or once more.

    Args:
        labels: of each clip.
        balance: see above.
    """

    def __init__(self, labels: Sequence[int], balance: Balance) -> None:
        classes, self._class_of = np.unique(np.asarray(labels), return_inverse=True)
        weights = np.bincount(self._class_of, minlength=len(classes)) ** _POWERS[balance]
        self.shares = weights / weights.sum()

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Return the numbers of the clips in the order of an epoch, int64 [number of clips]."""
        num_draws = len(self._class_of)
        ends = np.floor(num_draws * np.cumsum(self.shares) + rng.random()).astype(np.int64)
        ends[-1] = num_draws
        drawn = []
        for number, count in enumerate(np.diff(ends, prepend=0)):
            own = np.flatnonzero(self._class_of == number)
            rounds = [rng.permutation(own) for _ in range(-(-int(count) // len(own)))]
            drawn.append(np.concatenate([own[:0], *rounds])[:count])
        return rng.permutation(np.concatenate(drawn))
