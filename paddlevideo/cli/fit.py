"""Make a model of your own videos: check, split, train, test, export and report.

paddlevideo fit VIDEOS

VIDEOS is a folder with a folder of videos for each class, a folder with train/, val/ (and test/) of
such folders, or a CSV file with the columns path, label and, if you like, split and group.

The run's folder has the model (bundle/), a page about it (report.html), its answers
(predictions.jsonl) and the config with which main.py trains the same (config.yaml). The same
command again goes on where it was interrupted.
"""

import argparse
import re
import sys
from pathlib import Path

from paddlevideo.cli.output import say
from paddlevideo.utils.packages import TRAINING

PACKAGES = (*TRAINING, "jinja2")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo fit``."""
    parser.add_argument("videos", type=Path, metavar="VIDEOS", help="folder or CSV, see above")
    parser.add_argument(
        "--weights",
        metavar="NAME|FILE|none",
        help="what training starts from (default: the model's released weights, if they are in "
        "the cache or can be fetched)",
    )
    parser.add_argument("--model", default="movinet_a0_stream", help="default: movinet_a0_stream")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=float, default=10.0, help="for everything, about (default: 10)"
    )
    length.add_argument("--epochs", type=int, metavar="N", help="of training, however long")
    parser.add_argument(
        "--val", type=float, default=0.2, metavar="SHARE", help="for validation (default: 0.2)"
    )
    parser.add_argument(
        "--group",
        metavar="REGEX",
        help="its first group names the recording, or the person, of a path: such videos are "
        "never on both sides of the split",
    )
    parser.add_argument("--output", type=Path, help="the run's folder (default: runs/VIDEOS)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or gpu:N")
    parser.add_argument("--processes", default="auto", metavar="auto|N", help="that train together")


def run(arguments: argparse.Namespace) -> None:
    """Fit, then say what there is now."""
    from paddlevideo.utils.packages import require_packages

    require_packages("fit, for its page about the run,", "jinja2", "matplotlib")
    from paddlevideo.apps.fit.options import FitOptions
    from paddlevideo.apps.fit.run_fit import fit
    from paddlevideo.utils.errors import ConfigError
    from paddlevideo.utils.logging import setup_logging
    from paddlevideo.utils.memory import keep_freed_memory

    setup_logging("WARNING")
    keep_freed_memory()
    if arguments.processes != "auto" and not re.fullmatch(r"[1-9]\d{0,3}", arguments.processes):
        raise ConfigError(f"--processes {arguments.processes}: expected auto or a number above 0")
    options = FitOptions(
        videos=arguments.videos,
        output=arguments.output or Path("runs") / (arguments.videos.resolve().stem or "videos"),
        weights=arguments.weights,
        model=arguments.model,
        minutes=arguments.minutes,
        epochs=arguments.epochs,
        val_share=arguments.val,
        group=arguments.group,
        seed=arguments.seed,
        device=arguments.device,
        processes=None if arguments.processes == "auto" else int(arguments.processes),
    )
    finished = fit(options, say, is_shown=sys.stderr.isatty())
    right = round(finished.accuracy * finished.num_videos)
    say(
        f"\n{finished.tested_on}: {right} of {finished.num_videos} videos right "
        f"({finished.accuracy:.1%})"
    )
    if finished.step_ms is not None and finished.frame_rate is not None:
        say(
            f"stream: {finished.frame_rate:g} frames/s are wanted, a frame takes "
            f"{finished.step_ms:.1f} ms here"
        )
    say(f"model   {finished.bundle}\nreport  {finished.report}")
