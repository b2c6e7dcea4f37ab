"""Three sentences: numbers against cases counted by hand, and the advice that fits."""

import numpy as np
import pytest

from paddlevideo.apps.reports.parts import Answer
from paddlevideo.apps.reports.run_reader import Run
from paddlevideo.apps.reports.summary import minutes, percent, summary_of
from paddlevideo.metrics import confusion_matrix

NBSP = "\N{NO-BREAK SPACE}"


def run_with(labels, predicted, trained=0.9, **changes):
    lines = [
        {"kind": "start", "samples": 40},
        {"kind": "train_epoch", "epoch": 1, "top1": trained, "seconds": 120.0},
    ]
    dataset = {"train": {"root": "data/train"}, "test": {"file_path": "val.list"}}
    config = {"model_name": "Small", "DATASET": dataset}
    answers = [Answer("x", label, "", False, 0, 0, []) for label in labels]
    run = Run("run", config, {}, lines, ["walk", "run"], answers, **changes)
    return run, confusion_matrix(np.array(labels), np.array(predicted), 2)


def test_what_was_trained_and_how_good_it_is():
    first, second, third = summary_of(*run_with([0] * 20 + [1] * 20, [0] * 20 + [0, *[1] * 19]))
    assert first == (
        "Small was trained on 40 videos of data/train in 2 classes for 1 epoch, 2.0 minutes."
    )
    assert second.replace(NBSP, " ") == (
        "On val.list, 39 of 40 videos are right (97.5 %; guessing: 50 %)."
    )
    assert third.replace(NBSP, " ").startswith(
        "Confused most: 1 video of “run” (5 % of them) is taken for “walk”; look whether"
    )


@pytest.mark.parametrize(
    ("labels", "predicted", "trained", "said"),
    [
        ([0, 1], [0, 1], 1.0, "No video is wrong; test it on footage of another day"),
        ([0, 1], [0, -1], 1.0, "Mend or remove the 1 file that cannot be read"),
        ([0] * 20 + [1] * 20, [0] * 40, 0.5, "not right on its own training videos either (50"),
        ([0] * 20 + [1] * 20, [0] * 40, 0.99, "more and more varied videos of “run” and “walk”"),
        ([0] * 99 + [1], [0] * 100, 1.0, "the test has only 1 video of that class"),
    ],
)
def test_advice(labels, predicted, trained, said):
    assert said in summary_of(*run_with(labels, predicted, trained))[2]


def test_unreadable_videos_are_counted():
    text = summary_of(*run_with([0, 1], [0, -1]))[1]
    assert text.endswith("; 1 of them cannot be read and count as wrong.")


def test_numbers_as_text():
    assert [percent(v).replace(NBSP, " ") for v in (None, 0.5, 1 / 3, 1.0)] == [
        "–", "50 %", "33.3 %", "100 %"
    ]  # fmt: skip
    assert (minutes(20), minutes(600), minutes(7200)) == (
        "20 seconds", "10.0 minutes", "2.0 hours"
    )  # fmt: skip
