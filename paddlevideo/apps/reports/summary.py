"""The summary of a run in three sentences of plain English."""

from collections.abc import Sequence

from paddlevideo.apps.reports.run_reader import Run, number
from paddlevideo.metrics import Confusion, ConfusionMatrix

_UNREADABLE_SHARE = 0.02  # from here on, files come before everything else
_GAP = 0.15  # between training and test accuracy: the videos are learnt by heart
_LEARNT = 0.8
_FEW = 10  # videos of a class in a test


def summary_of(run: Run, matrix: ConfusionMatrix | None) -> list[str]:
    """What was trained on what; how good it is on which set; what to do."""
    return [_training(run), _quality(run, matrix), _advice(run, matrix)]


def percent(share: float | None) -> str:
    """A share as text, with one decimal where that tells something."""
    if share is None:
        return "–"
    text = f"{share * 100:.1f}".removesuffix(".0")
    return f"{text}\N{NO-BREAK SPACE}%"


def minutes(seconds: float) -> str:
    """A duration as text."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 5400:
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"


def plural(count: int, name: str) -> str:
    """``1 video``, ``2 videos``."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def training_seconds(run: Run) -> float:
    """Time spent in training steps."""
    return sum(number(line, "seconds") or 0.0 for line in run.epochs)


def _training(run: Run) -> str:
    if not run.epochs:
        return f"{run.name} was tested here; the folder has no record of its training."
    start = next((line for line in run.lines if line.get("kind") == "start"), {})
    samples = number(start, "samples")
    data = run.set_name("train")
    parts = [f"{run.name} was trained"]
    if data is not None or samples is not None:
        parts.append(f"on {plural(int(samples), 'video') if samples else 'the videos'}")
        parts.append(f"of {data}" if data is not None else "")
    if run.titles:
        parts.append(f"in {plural(len(run.titles), 'class')}".replace("classs", "classes"))
    parts.append(f"for {plural(len(run.epochs), 'epoch')}, {minutes(training_seconds(run))}")
    return " ".join(filter(None, parts)) + "."


def _quality(run: Run, matrix: ConfusionMatrix | None) -> str:
    if matrix is not None:
        total, right = int(matrix.count_N.sum()), int(matrix.counts_NN.trace())
        where = run.set_name("test") or "its test set"
        text = (
            f"On {where}, {right} of {plural(total, 'video')} are right ({percent(right / total)}"
        )
        text += f"; guessing: {percent(1 / matrix.num_classes)})"
        unread = int(matrix.unreadable_N.sum())
        return (
            f"{text}; {unread} of them cannot be read and count as wrong." if unread else f"{text}."
        )
    best = run.best_validation()
    if best is None:
        return "It has been neither validated nor tested yet."
    value = percent(number(best, run.headline))
    where = run.set_name("valid") or "its validation set"
    return f"On {where}, its best {run.headline} is {value}, after epoch {best['epoch']}."


def _advice(run: Run, matrix: ConfusionMatrix | None) -> str:
    if matrix is None:
        return (
            "A test shows which classes are confused and which videos are wrong: "
            "run main.py --test with its weights."
        )
    total = int(matrix.count_N.sum())
    unread = int(matrix.unreadable_N.sum())
    if unread > _UNREADABLE_SHARE * total:
        return f"Mend or remove the {plural(unread, 'file')} that cannot be read, and test again."
    pairs = matrix.confusions(1)
    if not pairs:
        return (
            "No video is wrong; test it on footage of another day, place and person "
            "before you rely on it."
        )
    return f"{_confused(pairs[0], run.titles)}; {_what_to_do(run, matrix, pairs[0])}."


def _confused(pair: Confusion, titles: Sequence[str]) -> str:
    videos = plural(pair.count, "video")
    share = percent(pair.share)
    return (
        f"Confused most: {videos} of “{titles[pair.label]}” ({share} of them) "
        f"{'is' if pair.count == 1 else 'are'} taken for “{titles[pair.predicted]}”"
    )


def _what_to_do(run: Run, matrix: ConfusionMatrix, pair: Confusion) -> str:
    """By the first of what usually holds a model back."""
    accuracy = float(matrix.counts_NN.trace() / matrix.count_N.sum())
    trained = number(run.epochs[-1], "top1") if run.epochs else None
    two = f"“{run.titles[pair.label]}” and “{run.titles[pair.predicted]}”"
    if trained is not None and trained < _LEARNT and accuracy < _LEARNT:
        return (
            f"it is not right on its own training videos either ({percent(trained)}), so train "
            "longer, or start from pretrained weights"
        )
    if trained is not None and trained - accuracy > _GAP:
        return (
            f"it knows its training videos better ({percent(trained)}) than new ones, so more "
            f"and more varied videos of {two} help most"
        )
    if matrix.count_N[pair.label] < _FEW:
        return (
            f"the test has only {plural(int(matrix.count_N[pair.label]), 'video')} of that class, "
            "so test on more before you draw conclusions"
        )
    return f"look whether the labels of these videos are right, then film more of {two}"
