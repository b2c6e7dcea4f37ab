"""The curves of one run or of several in one picture: PNG, SVG, or an HTML page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.apps.reports.charts import NUM_COLOURS, Series, line_chart
from paddlevideo.apps.reports.page import write_page
from paddlevideo.apps.reports.run_reader import Run, number, read_run
from paddlevideo.tasks.board_writers import iteration_of
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import atomic_write
from paddlevideo.utils.nodes import ReadNode

CURVES_NAME = "curves.png"
PAGE, SVG, PNG = ".html", ".svg", ".png"


@dataclass(frozen=True)
class Panel:
    """One chart of the picture; its series are over epochs.

    Attributes:
        is_share: values are shares, from 0 to 1.
    """

    title: str
    series: list[Series]
    is_share: bool = False


@dataclass(frozen=True)
class _Kind:
    """What a panel shows: a key of the lines of these kinds, each with a name if there are two."""

    title: str
    key: str
    kinds: Sequence[str]
    is_share: bool = False


def write_curves(run_folders: Sequence[str | Path], output: str | Path | None = None) -> Path:
    """Draw the runs; return where the picture is.

    Args:
        output: its name ends in ``.png``, ``.svg`` or ``.html``; by default ``curves.png`` in the
            run's folder, of several in the working folder.

    Raises:
        DataError: a folder is no run's or has no curves, there are too many, or the file cannot be
            written.
    """
    folders = [Path(folder) for folder in run_folders]
    default = folders[0] / CURVES_NAME if len(folders) == 1 else Path(CURVES_NAME)
    path = default if output is None else Path(output)
    if path.suffix.lower() not in (PAGE, SVG, PNG):
        raise DataError(f"{path}: curves are written as {PNG}, {SVG} or {PAGE}; name such a file")
    if len(folders) > NUM_COLOURS:
        raise DataError(f"{len(folders)} runs: {NUM_COLOURS} can be told apart; name fewer")
    runs = [read_run(folder) for folder in folders]
    names = _names(folders)
    panels = panels_of(names, runs)
    notes = [f"{n}: {note}" for n, run in zip(names, runs, strict=True) for note in run.notes]
    if not panels:
        why = "; ".join(notes) or "no step was logged yet"
        raise DataError(f"{', '.join(names)}: there is nothing to draw: {why}")
    title = names[0] if len(names) == 1 else f"{len(names)} runs"
    if path.suffix.lower() == PAGE:
        charts = [_chart(panel) for panel in panels]
        write_page(path, "curves.html", {"title": title, "charts": charts, "notes": notes})
        return path
    # Here, as a page does not need matplotlib.
    from paddlevideo.apps.reports.curve_figure import curve_figure

    picture = curve_figure(title, panels, path.suffix.lower().removeprefix("."))
    try:
        with atomic_write(path) as file:
            file.write(picture)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror}; name another file with --output"
        ) from None
    return path


def panels_of(names: Sequence[str], runs: Sequence[Run]) -> list[Panel]:
    """The panels that have something to show."""
    headline = runs[0].headline
    both = ("train", "valid")
    kinds = [
        _Kind("loss", "loss", both),
        _Kind(f"accuracy ({headline})", headline, both, headline.startswith("top")),
        _Kind("learning rate", "lr", ("train",)),
        _Kind("samples per second", "samples_per_second", ("train",)),
        _Kind("norm of the gradient", "grad_norm", ("train",)),
        _Kind("share of the time that waits for data", "data_share", ("train",), True),
    ]
    panels = [Panel(kind.title, _series(names, runs, kind), kind.is_share) for kind in kinds]
    return [panel for panel in panels if panel.series]


def _series(names: Sequence[str], runs: Sequence[Run], kind: _Kind) -> list[Series]:
    found = []
    for place, (name, run) in enumerate(zip(names, runs, strict=True)):
        for line_kind in kind.kinds:
            is_valid = line_kind == "valid"
            label = {"train": "training", "valid": "validation"}[line_kind]
            if len(runs) > 1:
                label = f"{name}, {label}"
            style = int(is_valid) if len(runs) == 1 else place + NUM_COLOURS * is_valid
            found.append(_line(run, line_kind, kind.key, label, style))
    return [series for series in found if series.points()]


def _line(run: Run, kind: str, key: str, label: str, style: int) -> Series:
    """A number over epochs; of training, that of each interval, or else of each epoch."""
    starts = [line for line in run.lines if line.get("kind") in ("start", "resume")]
    steps = number(starts[-1], "steps_per_epoch") if starts else None
    place = _place_by(int(steps)) if steps else _epoch
    for own in [kind, "train_epoch"] if kind == "train" else [kind]:
        points: dict[float, float | None] = {}
        for line in run.lines:  # the newest of each place: a resumed run repeats some
            x = place(line) if line.get("kind") == own else None
            if x is not None:
                points[x] = number(line, key)
        series = Series(label, sorted(points), [points[x] for x in sorted(points)], style)
        if series.points():
            break
    return series


def _place_by(steps_per_epoch: int) -> Callable[[ReadNode], float | None]:
    def place(line: ReadNode) -> float | None:
        iteration = iteration_of(line, steps_per_epoch)
        return None if iteration is None else iteration / steps_per_epoch

    return place


def _epoch(line: ReadNode) -> float | None:
    return number(dict(line), "epoch") if line.get("kind") != "train" else None


def _chart(panel: Panel) -> object:
    limits = (0.0, 1.0) if panel.is_share else None
    return line_chart(panel.title, panel.series, "epoch", limits, panel.is_share)


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each folder, or all of it where two have the same."""
    last = [folder.resolve().name for folder in folders]
    return last if len(set(last)) == len(last) else [str(folder) for folder in folders]
