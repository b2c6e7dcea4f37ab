"""Weights of classes in a loss, and the counts of the training data that they may follow from."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from paddle import nn


class TakesClassCounts(ABC):
    """A layer, such as a loss, that wants to know how many training clips each class has."""

    @abstractmethod
    def set_class_counts(self, counts: Sequence[int]) -> None:
        """Take the number of clips of each class.

        Raises:
            ConfigError: the layer was set up for another number of classes.
        """


def give_class_counts(model: nn.Layer, counts: Sequence[int]) -> None:
    """Give the number of training clips of each class to every layer of a model that takes it."""
    for layer in model.sublayers(include_self=True):
        if isinstance(layer, TakesClassCounts):
            layer.set_class_counts(counts)


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """``N / (C * n)`` for each class of n clips, N clips in all and C classes that have any.

    Their mean over all clips is 1. A class without clips has the weight 0.
    """
    num_there = sum(count > 0 for count in counts)
    each = sum(counts) / max(num_there, 1)
    return [each / count if count > 0 else 0.0 for count in counts]
