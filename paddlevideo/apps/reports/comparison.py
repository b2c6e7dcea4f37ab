"""One page that shows several runs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.apps.reports.charts import Chart, line_chart
from paddlevideo.apps.reports.page import records_series, write_page
from paddlevideo.apps.reports.run_reader import Run, number, read_run
from paddlevideo.apps.reports.summary import minutes, percent, training_seconds
from paddlevideo.metrics import ConfusionMatrix
from paddlevideo.utils.errors import DataError

COMPARISON_NAME = "comparison.html"


@dataclass(frozen=True)
class Headline:
    """A row of the table of headline numbers: one value a run, the best ones marked."""

    title: str
    values: list[str]
    is_best: list[bool]


@dataclass(frozen=True)
class RecallRow:
    """A class and its recall in each run; None where the run has no videos of it."""

    title: str
    recalls: list[float | None]
    is_best: list[bool]


def write_comparison(
    run_folders: Sequence[str | Path], output: str | Path = COMPARISON_NAME
) -> Path:
    """Make the page of several runs; return where it is.

    Raises:
        DataError: fewer than two folders, one is named twice or is no run's, or the page cannot
            be written.
    """
    folders = [Path(folder) for folder in run_folders]
    if len(folders) < 2:
        raise DataError("a comparison needs two runs or more; name their folders")
    resolved = [folder.resolve() for folder in folders]
    repeated = [f for n, f in enumerate(folders) if resolved[n] in resolved[:n]]
    if repeated:
        raise DataError(f"{repeated[0]} is named twice; name each run once")
    runs = [read_run(folder) for folder in folders]
    names = [str(folder) for folder in folders]
    matrices = [run.matrix() for run in runs]
    tested = {run.set_name("test") for run in runs if run.answers}
    content = {
        "title": f"{len(runs)} runs side by side",
        "names": names,
        "headlines": _headlines(runs, matrices),
        "charts": _curves(names, runs),
        "rows": _recalls(runs, matrices),
        "sets_differ": len(tested) > 1,
        "notes": [
            f"{name}: {note}" for name, run in zip(names, runs, strict=True) for note in run.notes
        ],
    }
    path = Path(output)
    write_page(path, "comparison.html", content)
    return path


def _headlines(runs: Sequence[Run], matrices: Sequence[ConfusionMatrix | None]) -> list[Headline]:
    best = [run.best_validation() for run in runs]
    valid = [number(b, run.headline) if b else None for b, run in zip(best, runs, strict=True)]
    shares = [None if m is None else m.counts_NN.trace() / m.count_N.sum() for m in matrices]
    recalls = [None if m is None else _mean_recall(m) for m in matrices]
    totals = ["–" if m is None else str(m.count_N.sum()) for m in matrices]
    unread = ["–" if m is None else str(m.unreadable_N.sum()) for m in matrices]
    rows = [
        ("model", [run.name for run in runs], None),
        ("classes", [str(len(run.titles)) if run.titles else "–" for run in runs], None),
        ("epochs", [str(len(run.epochs)) if run.epochs else "–" for run in runs], None),
        ("training", [minutes(training_seconds(r)) if r.epochs else "–" for r in runs], None),
        ("best validation", [percent(value) for value in valid], valid),
        ("… after epoch", [str(line["epoch"]) if line else "–" for line in best], None),
        ("test accuracy", [percent(share) for share in shares], shares),
        ("mean recall of the classes", [percent(recall) for recall in recalls], recalls),
        ("test set", [run.set_name("test") or "–" if run.answers else "–" for run in runs], None),
        ("videos tested", totals, None),
        ("unreadable", unread, None),
    ]
    return [
        Headline(title, values, _best_of(numbers) if numbers else [False] * len(runs))
        for title, values, numbers in rows
    ]


def _mean_recall(matrix: ConfusionMatrix) -> float | None:
    recalls = [each.recall for each in matrix.figures() if each.recall is not None]
    return sum(recalls) / len(recalls) if recalls else None


def _best_of(numbers: Sequence[float | None]) -> list[bool]:
    """Which are the largest; none where all are equal or fewer than two are known."""
    known = [value for value in numbers if value is not None]
    if len(set(known)) < 2:
        return [False] * len(numbers)
    return [value is not None and value == max(known) for value in numbers]


def _curves(names: Sequence[str], runs: Sequence[Run]) -> list[Chart]:
    named = list(enumerate(zip(names, runs, strict=True)))
    valid_loss = [records_series(run.validations, "loss", n, p) for p, (n, run) in named]
    train_loss = [records_series(run.epochs, "loss", n, p) for p, (n, run) in named]
    accuracy = [records_series(run.validations, run.headline, n, p) for p, (n, run) in named]
    charts = [
        line_chart(
            "Validation accuracy", accuracy, "epoch", (0.0, 1.0), percent=True, whole_x=True
        ),
        line_chart("Validation loss", valid_loss, "epoch", whole_x=True),
        line_chart("Training loss", train_loss, "epoch", whole_x=True),
    ]
    return [chart for chart in charts if chart is not None]


def _recalls(runs: Sequence[Run], matrices: Sequence[ConfusionMatrix | None]) -> list[RecallRow]:
    """Classes by name, in the order of the first run that has them; the most uneven first."""
    by_run: list[dict[str, float | None]] = [
        {} if m is None else {run.titles[each.index]: each.recall for each in m.figures()}
        for run, m in zip(runs, matrices, strict=True)
    ]
    titles = list(dict.fromkeys(title for recalls in by_run for title in recalls))
    rows = []
    for title in titles:
        recalls = [recalls.get(title) for recalls in by_run]
        rows.append(RecallRow(title, recalls, _best_of(recalls)))
    return sorted(rows, key=lambda row: -_spread(row.recalls))


def _spread(recalls: Sequence[float | None]) -> float:
    known = [recall for recall in recalls if recall is not None]
    return max(known) - min(known) if known else -1.0
