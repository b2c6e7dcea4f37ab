"""The page of one run: one HTML file with everything in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from paddlevideo.apps.reports.charts import Chart, Series, line_chart
from paddlevideo.apps.reports.matrix_figure import matrix_figure
from paddlevideo.apps.reports.parts import Answer, Timeline
from paddlevideo.apps.reports.run_reader import Run, number, read_run
from paddlevideo.apps.reports.summary import percent, plural, summary_of
from paddlevideo.apps.reports.thumbnails import Thumbnails, thumbnails_of
from paddlevideo.metrics import ClassFigures, ConfusionMatrix
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import write_text
from paddlevideo.utils.nodes import Node

REPORT_NAME = "report.html"

_MOST_MISTAKES, _MOST_OF_A_PAIR = 12, 3
_MOST_PAIRS, _MOST_UNREADABLE, _CLASSES_SHOWN = 10, 20, 30
_MOST_TIMELINES = 8
_CONTROL = {code: None for code in range(32) if chr(code) not in "\t\n\r"}


@dataclass(frozen=True)
class Mistake:
    """A video that is taken for another class, with frames of it."""

    answer: Answer
    thumbnails: Thumbnails


def write_report(run_folder: str | Path, output: str | Path | None = None) -> Path:
    """Make the page of a run; return where it is.

    It is one file with nothing from outside. What the run does not have is left out.

    Args:
        run_folder: of a training, a test, or both.
        output: the page; by default ``report.html`` in the folder.

    Raises:
        DataError: the folder is no run's, or the page cannot be written.
    """
    run = read_run(Path(run_folder))
    path = Path(output) if output is not None else run.folder / REPORT_NAME
    write_page(path, "report.html", _content_of(run))
    return path


def write_page(path: Path, template: str, content: Mapping[str, object]) -> None:
    """Fill a template and write it atomically.

    Raises:
        DataError: it cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("paddlevideo.apps.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, plural=plural)
    style = resources.files("paddlevideo.apps.reports").joinpath("templates/style.css")
    text = environment.get_template(template).render(
        style=Markup(style.read_text(encoding="utf-8")), **content
    )
    text = text.translate(_CONTROL).encode("utf-8", "replace").decode("utf-8")
    try:
        write_text(path, text)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror}; name another file with --output"
        ) from None


def _content_of(run: Run) -> Node:
    matrix = run.matrix()
    figures = sorted_figures(matrix) if matrix is not None else []
    pairs = matrix.confusions(_MOST_PAIRS) if matrix is not None else []
    unreadable = [answer for answer in run.answers if not answer.readable]
    return {
        "title": run.name,
        "run": run,
        "summary": summary_of(run, matrix),
        "charts": curves(run),
        "matrix": None if matrix is None else matrix_figure(matrix, run.titles),
        "pairs": pairs,
        "figures": figures,
        "num_shown": _CLASSES_SHOWN if len(figures) > _CLASSES_SHOWN + 5 else len(figures),
        "mistakes": [Mistake(a, thumbnails_of(a.path)) for a in worst_mistakes(run.answers)],
        "num_wrong": sum(answer.readable and not answer.is_right for answer in run.answers),
        "unreadable": unreadable[:_MOST_UNREADABLE],
        "num_unreadable": len(unreadable),
        "damaged": [answer for answer in run.answers if answer.frames_lost][:_MOST_UNREADABLE],
        "timelines": [(line, _timeline(line)) for line in (run.timelines or [])[:_MOST_TIMELINES]],
    }


def sorted_figures(matrix: ConfusionMatrix) -> list[ClassFigures]:
    """The classes of the test, the lowest recall first; those without videos last."""
    return sorted(
        matrix.figures(),
        key=lambda each: (each.recall is None, each.recall, -each.count, each.index),
    )


def worst_mistakes(answers: list[Answer]) -> list[Answer]:
    """The wrong answers of the most certainty; few of each pair of classes, while others are left.

    Certain means: the probability of the answer is far above that of the right class.
    """
    wrong = [answer for answer in answers if answer.readable and not answer.is_right]
    wrong.sort(key=lambda answer: (answer.label_score or 0.0) - answer.top[0].score)
    seen: dict[tuple[int, int], int] = {}
    first: list[Answer] = []
    rest: list[Answer] = []
    for answer in wrong:
        pair = (answer.label, answer.top[0].index)
        seen[pair] = seen.get(pair, 0) + 1
        (first if seen[pair] <= _MOST_OF_A_PAIR else rest).append(answer)
    return (first + rest)[:_MOST_MISTAKES]


def curves(run: Run) -> list[Chart]:
    """Loss, accuracy and learning rate over the epochs."""
    charts = [
        line_chart("Loss", _lines(run, "loss"), "epoch", whole_x=True),
        line_chart(
            f"Accuracy ({run.headline})",
            _lines(run, run.headline),
            "epoch",
            (0.0, 1.0),
            percent=True,
            whole_x=True,
        ),
        line_chart("Learning rate", [_rates(run)], "epoch", whole_x=True),
    ]
    return [chart for chart in charts if chart is not None]


def _lines(run: Run, key: str) -> list[Series]:
    """A number of training and of validation."""
    return [
        records_series(run.epochs, key, "training", 0),
        records_series(run.validations, key, "validation", 1),
    ]


def records_series(records: list[Node], key: str, name: str, style: int) -> Series:
    """A number of records of epochs as a line."""
    epochs = [number(record, "epoch") or 0.0 for record in records]
    return Series(name, epochs, [number(record, key) for record in records], style)


def _rates(run: Run) -> Series:
    """The learning rate at each logged step; a step counts as a part of its epoch."""
    starts = [line for line in run.lines if line.get("kind") in ("start", "resume")]
    steps = number(starts[-1], "steps_per_epoch") if starts else None
    records = [line for line in run.lines if line.get("kind") == "train"] if steps else run.epochs
    points = {}
    for record in records:
        done = (number(record, "step") or 0.0) / steps - 1 if steps else 0.0
        points[(number(record, "epoch") or 0.0) + done] = number(record, "lr")
    return Series("learning rate", sorted(points), [points[x] for x in sorted(points)], 2)


def _timeline(timeline: Timeline) -> Chart | None:
    lines = [
        Series(label, timeline.times_seconds, scores, index)
        for index, (label, scores) in enumerate(zip(timeline.labels, timeline.scores, strict=True))
    ]
    return line_chart(timeline.path, lines, "seconds", (0.0, 1.0), percent=True)
