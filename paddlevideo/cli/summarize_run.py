"""Say in a few lines what a run trained, how well, and where its files lie."""

import argparse
from pathlib import Path

from paddlevideo.cli.output import say
from paddlevideo.utils.packages import TRAINING

PACKAGES = TRAINING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a run's folder, such as output/MoViNet")


def summary(folder: Path) -> list[tuple[str, str]]:
    """Titles and texts."""
    from paddlevideo.metrics import METRICS
    from paddlevideo.modeling import number_of_classes
    from paddlevideo.tasks.run_folder import CONFIG_NAME, METRICS_NAME
    from paddlevideo.tasks.run_records import last_of, read_metrics
    from paddlevideo.utils.config import read_config

    lines = read_metrics(folder)
    config = read_config(folder / CONFIG_NAME)
    name = config["model_name"]
    metric = METRICS.build(config["METRIC"], "METRIC")
    epochs = [line for line in lines if line["kind"] == "train_epoch"]
    seconds = sum(line["seconds"] for line in epochs)
    rows = [
        ("trained", f"{name}, {number_of_classes(config['MODEL'])} classes"),
        ("epochs", f"{len({line['epoch'] for line in epochs})}, {seconds / 60:.1f} minutes"),
    ]
    valid = [line for line in lines if line["kind"] == "valid" and metric.headline in line]
    if valid:
        best = valid[0]
        for line in valid[1:]:
            if metric.is_better(line, best):
                best = line
        value = best[metric.headline]
        text = f"{metric.headline} {value:.4f} (best, epoch {best['epoch']})"
        rows.append(("validation", text))
    tested = last_of(lines, "test")
    if tested:
        name_tested = tested.get("headline", metric.headline)
        rows.append(
            ("test", f"{name_tested} {tested[name_tested]:.4f} on {tested['samples']} videos")
        )
    weights = sorted(folder.glob(f"{name}_best.pdparams"))
    rows += [("weights", str(path)) for path in weights]
    rows.append(("run", f"{folder}: {CONFIG_NAME}, {METRICS_NAME}, run.log"))
    return rows


def run(arguments: argparse.Namespace) -> None:
    for title, text in summary(arguments.folder):
        say(f"{title:12s} {text}")
