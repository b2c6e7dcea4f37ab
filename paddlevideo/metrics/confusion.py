"""What a model takes for what: the confusion matrix, and the figures of each class from it."""

from dataclasses import dataclass

import numpy as np

from paddlevideo.utils.errors import ArgumentError

UNREADABLE = -1  # in place of a predicted class


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is found.

    Attributes:
        index: the class's number.
        count: samples of the class, those that cannot be read included.
        correct: samples of it that are found.
        unreadable: samples of it that could not be read; they count as missed.
        precision: share of the answers "this class" that are right; None without such an answer.
        recall: share of its samples that are found; None without samples.
        f1: harmonic mean of the two; None where the class neither occurs nor is an answer.
    """

    index: int
    count: int
    correct: int
    unreadable: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Confusion:
    """Samples of one class that are taken for another.

    Attributes:
        label: number of the samples' class.
        predicted: number of the class they are taken for.
        count: how many.
        share: of all samples of the class.
    """

    label: int
    predicted: int
    count: int
    share: float


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts of samples by their class and their predicted class.

    Attributes:
        counts_NN: int64 [N, N]; row: the sample's class, column: the predicted one.
        unreadable_N: int64 [N]; samples of each class that could not be read.
    """

    counts_NN: np.ndarray
    unreadable_N: np.ndarray

    @property
    def num_classes(self) -> int:
        """N."""
        return len(self.unreadable_N)

    @property
    def count_N(self) -> np.ndarray:
        """Samples of each class, those that could not be read included; int64 [N]."""
        return self.counts_NN.sum(axis=1) + self.unreadable_N

    def figures(self) -> list[ClassFigures]:
        """Precision, recall, F1 and count of every class, in label order."""
        counts, predicted = self.count_N, self.counts_NN.sum(axis=0)
        found = []
        for index in range(self.num_classes):
            correct, count = int(self.counts_NN[index, index]), int(counts[index])
            answers = int(predicted[index])
            figures = ClassFigures(
                index=index,
                count=count,
                correct=correct,
                unreadable=int(self.unreadable_N[index]),
                precision=_share(correct, answers),
                recall=_share(correct, count),
                f1=_share(2 * correct, count + answers),
            )
            found.append(figures)
        return found

    def confusions(self, most: int) -> list[Confusion]:
        """At most ``most`` pairs of classes that are confused, the most frequent first.

        Of equally frequent ones, those of the larger share of the class come first.
        """
        wrong = self.counts_NN.copy()
        np.fill_diagonal(wrong, 0)
        counts = self.count_N
        pairs = [
            Confusion(int(i), int(j), int(wrong[i, j]), float(wrong[i, j] / counts[i]))
            for i, j in np.argwhere(wrong)
        ]
        pairs.sort(key=lambda pair: (-pair.count, -pair.share, pair.label, pair.predicted))
        return pairs[:most]


def confusion_matrix(
    label_S: np.ndarray, predicted_S: np.ndarray, num_classes: int
) -> ConfusionMatrix:
    """Count the samples.

    Args:
        label_S: class of each sample, int [S].
        predicted_S: the model's answer for each, int [S]; `UNREADABLE` where there is none.

    Raises:
        ArgumentError: a class is outside 0 .. num_classes - 1, or the lengths differ.
    """
    labels = np.asarray(label_S, np.int64).reshape(-1)
    predicted = np.asarray(predicted_S, np.int64).reshape(-1)
    if len(labels) != len(predicted):
        raise ArgumentError(f"{len(labels)} labels and {len(predicted)} answers; one of each")
    for name, values, least in (("label", labels, 0), ("answer", predicted, UNREADABLE)):
        bad = values[(values < least) | (values >= num_classes)]
        if bad.size:
            raise ArgumentError(f"the {name} {bad[0]} is outside 0..{num_classes - 1}")
    readable = predicted != UNREADABLE
    counts_NN: np.ndarray = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(counts_NN, (labels[readable], predicted[readable]), 1)
    unreadable = np.bincount(labels[~readable], minlength=num_classes)
    return ConfusionMatrix(counts_NN, unreadable.astype(np.int64))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
