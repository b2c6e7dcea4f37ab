"""The confusion matrix and the figures of classes, against cases counted by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from paddlevideo.metrics import UNREADABLE, Confusion, confusion_matrix
from paddlevideo.metrics.confusion_plot import COUNTED, NAMED, confusion_png
from paddlevideo.utils.errors import ArgumentError

#        class 0: 3 right, 1 taken for 1     class 1: 1 right, 2 taken for 0, 1 unreadable
LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 3]
ANSWERS = [0, 0, 0, 1, 1, 0, 0, UNREADABLE, UNREADABLE]


def test_counts():
    matrix = confusion_matrix(np.array(LABELS), np.array(ANSWERS), 4)
    expected = [[3, 1, 0, 0], [2, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert matrix.counts_NN.tolist() == expected
    assert matrix.unreadable_N.tolist() == [0, 1, 0, 1]
    assert matrix.count_N.tolist() == [4, 4, 0, 1]


def test_figures_of_classes():
    first, second, absent, unread = confusion_matrix(
        np.array(LABELS), np.array(ANSWERS), 4
    ).figures()
    assert (first.count, first.correct, first.unreadable) == (4, 3, 0)
    assert (first.precision, first.recall) == (3 / 5, 3 / 4)
    assert first.f1 == pytest.approx(2 * 0.6 * 0.75 / (0.6 + 0.75))
    assert (second.precision, second.recall, second.unreadable) == (1 / 2, 1 / 4, 1)
    assert (absent.count, absent.precision, absent.recall, absent.f1) == (0, None, None, None)
    # Never an answer, so without precision; its one sample was not found.
    assert (unread.precision, unread.recall, unread.f1) == (None, 0.0, 0.0)


def test_most_frequent_confusions():
    matrix = confusion_matrix(np.array(LABELS), np.array(ANSWERS), 4)
    assert matrix.confusions(9) == [Confusion(1, 0, 2, 0.5), Confusion(0, 1, 1, 0.25)]
    assert matrix.confusions(1) == [Confusion(1, 0, 2, 0.5)]


@pytest.mark.parametrize(
    ("labels", "answers", "said"),
    [([2], [0], "label 2"), ([-1], [0], "label -1"), ([0], [2], "answer 2"), ([0], [], "one of")],
)
def test_classes_that_cannot_be(labels, answers, said):
    with pytest.raises(ArgumentError, match=said):
        confusion_matrix(np.array(labels), np.array(answers), 2)


def drawn(matrix, titles) -> Image.Image:
    return Image.open(io.BytesIO(confusion_png(matrix, titles))).convert("RGB")


@pytest.mark.parametrize("num_classes", [1, 2, COUNTED, COUNTED + 1, NAMED, NAMED + 1, 600])
def test_the_picture_has_a_blue_diagonal(num_classes):
    """Whatever the number of classes, the size is one that can be looked at."""
    labels = np.arange(num_classes)
    titles = [f"a class with a long name 类 <{label}>\n" for label in range(num_classes)]
    image = drawn(confusion_matrix(labels, labels, num_classes), titles)
    assert 200 <= min(image.size) and max(image.size) <= 3000
    colours = np.asarray(image).reshape(-1, 3)
    blue = int((colours == (0, 114, 178)).all(axis=1).sum())
    assert blue >= num_classes * 4
    wrong = np.roll(labels, 1)
    image = drawn(confusion_matrix(labels, wrong, num_classes), titles)
    blue = int((np.asarray(image).reshape(-1, 3) == (0, 114, 178)).all(axis=1).sum())
    assert (blue == 0) == (num_classes > 1)


def test_a_picture_of_nothing_and_of_the_unreadable():
    titles = ["a", "b"]
    nothing: list[int] = []
    empty = drawn(confusion_matrix(np.array(nothing), np.array(nothing), 2), titles)
    unread = drawn(confusion_matrix(np.array([0]), np.array([UNREADABLE]), 2), titles)
    assert unread.width > empty.width - 10
    assert (np.asarray(unread).reshape(-1, 3) == (110, 110, 110)).all(axis=1).any()
