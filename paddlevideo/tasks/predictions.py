"""What a test leaves about every sample and every class, as files in the run's folder."""

import csv
import io
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from paddle import Tensor

from paddlevideo.metrics.confusion import UNREADABLE, ConfusionMatrix, confusion_matrix
from paddlevideo.metrics.confusion_plot import confusion_png
from paddlevideo.modeling.distributed import all_reduce_sum, is_main
from paddlevideo.utils.files import atomic_write, write_text
from paddlevideo.utils.packages import DISTRIBUTION, is_installed
from paddlevideo.video import Record

logger = logging.getLogger(__name__)

PREDICTIONS_NAME = "predictions.jsonl"
CONFUSION_NAME = "confusion_matrix.csv"
CONFUSION_PLOT_NAME = "confusion_matrix.png"
CLASSES_NAME = "classes.csv"
TEST_FILES = (PREDICTIONS_NAME, CONFUSION_NAME, CONFUSION_PLOT_NAME, CLASSES_NAME)

TOP_K = 5
_UNREADABLE_COLUMN = "(unreadable)"


@dataclass(frozen=True)
class Predictions:
    """The answers to all samples of a test, in the order of the list.

    Attributes:
        readable_S: whether the sample could be read, bool [S].
        frames_read_S, frames_lost_S: frames of the file that were decoded, and that are damaged.
        label_score_S: probability of the sample's own class, float64 [S].
        top_SK: the best classes, best first, int64 [S, K]; without meaning if not readable.
        score_SK: their probabilities, float64 [S, K].
    """

    readable_S: np.ndarray
    frames_read_S: np.ndarray
    frames_lost_S: np.ndarray
    label_score_S: np.ndarray
    top_SK: np.ndarray
    score_SK: np.ndarray

    @property
    def predicted_S(self) -> np.ndarray:
        """The best class of each sample, `UNREADABLE` without one; int64 [S]."""
        return np.where(self.readable_S, self.top_SK[:, 0], UNREADABLE)


class PredictionCollector:
    """Takes the batches of an evaluation; `gathered` puts all processes' answers together.

    Args:
        num_samples: of the split, over all processes.
        num_classes: of the model.
        top_k: classes that are kept of each sample, at most.
    """

    _FIRST = 5  # columns before those of the best classes

    def __init__(self, num_samples: int, num_classes: int, top_k: int = TOP_K) -> None:
        self._num_kept = min(top_k, num_classes)
        # One row a sample: seen, readable, frames read and lost, score of its class, top, scores.
        shape = (num_samples, self._FIRST + 2 * self._num_kept)
        self._rows: np.ndarray = np.zeros(shape, np.float64)

    def __call__(self, logits_BN: np.ndarray, batch: Mapping[str, Tensor]) -> None:
        """Add one batch."""
        scores_BN = _softmax(logits_BN)
        top_BK = np.argsort(-scores_BN, axis=1, kind="stable")[:, : self._num_kept]
        index_B = batch["index"].numpy().reshape(-1)
        label_B = batch["label"].numpy().reshape(-1, 1)
        columns = [
            np.ones(len(index_B)),
            *(batch[name].numpy() for name in ("readable", "frames_read", "frames_lost")),
            np.take_along_axis(scores_BN, label_B, axis=1)[:, 0],
        ]
        self._rows[index_B] += np.column_stack(
            [*columns, top_BK, np.take_along_axis(scores_BN, top_BK, axis=1)]
        )

    def gathered(self) -> Predictions:
        """The answers of all processes; every process must call it.

        Raises:
            RuntimeError: a sample was not seen exactly once: a defect of the loader.
        """
        rows = all_reduce_sum(self._rows)
        if not (rows[:, 0] == 1).all():
            raise RuntimeError("samples were left out of the test, or seen more than once")
        middle = self._FIRST + self._num_kept
        return Predictions(
            readable_S=rows[:, 1].astype(bool),
            frames_read_S=rows[:, 2].astype(np.int64),
            frames_lost_S=rows[:, 3].astype(np.int64),
            label_score_S=rows[:, 4],
            top_SK=rows[:, self._FIRST : middle].astype(np.int64),
            score_SK=rows[:, middle:],
        )


def warn_without_plot() -> None:
    """Say before a test that its plot will be missing, as a package is."""
    if not is_installed("matplotlib"):
        logger.warning(
            '%s will not be written, as matplotlib is missing: pip install "%s[report]"',
            CONFUSION_PLOT_NAME,
            DISTRIBUTION,
        )


def titles_of(names: Sequence[str] | None, num_classes: int) -> list[str]:
    """Names of the classes for people; ``class 3`` where nothing names it."""
    return [
        (names[index] if names is not None else "") or f"class {index}"
        for index in range(num_classes)
    ]


def write_predictions(
    folder: Path, records: Sequence[Record], predictions: Predictions, titles: Sequence[str]
) -> ConfusionMatrix:
    """Write the files `TEST_FILES` into a run's folder; the main process alone writes.

    The plot is left out where matplotlib is missing.

    Args:
        records: of the data set, in its order.
        titles: names of all classes.
    """
    labels = np.array([record.label for record in records], np.int64)
    matrix = confusion_matrix(labels, predictions.predicted_S, len(titles))
    if is_main():
        lines = (
            _json(_line_of(record, predictions, index, titles))
            for index, record in enumerate(records)
        )
        write_text(folder / PREDICTIONS_NAME, "".join(f"{line}\n" for line in lines))
        write_text(folder / CONFUSION_NAME, _confusion_csv(matrix, titles))
        write_text(folder / CLASSES_NAME, _classes_csv(matrix, titles))
        if is_installed("matplotlib"):
            with atomic_write(folder / CONFUSION_PLOT_NAME) as file:
                file.write(confusion_png(matrix, titles))
    return matrix


def _line_of(
    record: Record, predictions: Predictions, index: int, titles: Sequence[str]
) -> dict[str, object]:
    readable = bool(predictions.readable_S[index])
    top = zip(predictions.top_SK[index], predictions.score_SK[index], strict=True)
    return {
        "path": record.path,
        "label": record.label,
        "label_name": titles[record.label],
        "label_score": round(float(predictions.label_score_S[index]), 6) if readable else None,
        "readable": readable,
        "frames_read": int(predictions.frames_read_S[index]),
        "frames_lost": int(predictions.frames_lost_S[index]),
        "top": [
            {"index": int(index), "label": titles[index], "score": round(float(score), 6)}
            for index, score in (top if readable else ())
        ],
    }


def _json(line: dict[str, object]) -> str:
    """One line; a file name that is no Unicode is written with escapes."""
    text = json.dumps(line, ensure_ascii=False)
    return text if text.isascii() or _is_unicode(text) else json.dumps(line)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _confusion_csv(matrix: ConfusionMatrix, titles: Sequence[str]) -> str:
    rows = [["class", *titles, _UNREADABLE_COLUMN]]
    for index, title in enumerate(titles):
        counts = matrix.counts_NN[index].tolist()
        rows.append([title, *map(str, counts), str(matrix.unreadable_N[index])])
    return _csv(rows)


def _classes_csv(matrix: ConfusionMatrix, titles: Sequence[str]) -> str:
    rows = [["index", "class", "count", "correct", "unreadable", "precision", "recall", "f1"]]
    for each in matrix.figures():
        counts = map(str, (each.count, each.correct, each.unreadable))
        shares = ("" if v is None else f"{v:.4f}" for v in (each.precision, each.recall, each.f1))
        rows.append([str(each.index), titles[each.index], *counts, *shares])
    return _csv(rows)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _softmax(logits_BN: np.ndarray) -> np.ndarray:
    """Probabilities in float64; those of a row that is not finite are NaN."""
    logits: np.ndarray = logits_BN.astype(np.float64)
    with np.errstate(invalid="ignore"):
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
