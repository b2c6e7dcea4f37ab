"""Compare the float32, float16 and int8 bundles of a model: size, time, accuracy, other answers.

paddlevideo compare --model_dir inference/Mine inference/Mine_int8 \\
    --input data/mine/val --output report.json

The videos are a folder of class folders, or a list file of lines "path label". One thread; the time
is that of one frame of one stream, or of a clip where a bundle has no program of one frame, the
bundles taking turns. The first bundle is what the others are compared with. With --products
bfloat16 each float bundle is compared in both ways.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.cli.output import say
from paddlevideo.cli.prediction_options import ENGINE_NAMES, add_products_option, positive
from paddlevideo.utils.packages import TRAINING

if TYPE_CHECKING:
    from paddlevideo.apps.comparison import BundleFigures, Comparison
    from paddlevideo.runtime.class_scores import ClassScore

PACKAGES = TRAINING  # for lists of labelled videos


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo compare``."""
    parser.add_argument("--model_dir", type=Path, nargs="+", required=True, help="bundles")
    parser.add_argument(
        "-i", "--input", type=Path, required=True, help="folder of class folders, or list file"
    )
    parser.add_argument("--output", type=Path, help="write all that is found as JSON")
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="auto")
    add_products_option(parser)
    parser.add_argument(
        "--repeats", type=positive, default=100, help="steps or clips to time (default: 100)"
    )


def table(found: "Comparison") -> str:
    """One line a bundle, then one a video that another class is given to."""
    program, unit = ("clip MB", "ms/clip") if found.of_clips else ("step MB", "ms/frame")
    lines = [
        f"{'bundle':32}{'weights':>8}{'engine':>13}{program:>9}{'folder MB':>11}"
        f"{unit:>10}{'ratio':>7}{'top-1':>8}{'changed':>9}"
    ]
    for item in found.bundles:
        lines.append(
            f"{_name_of(item):32}{item.precision:>8}{item.engine:>13}"
            f"{item.step_bytes / 1e6:9.2f}{item.folder_bytes / 1e6:11.2f}{item.step_ms:10.2f}"
            f"{item.step_ratio:7.2f}{item.top1:8.4f}{len(item.changed):9d}"
        )
    lines.append(f"{found.num_videos} videos, {len(found.unreadable)} unreadable")
    for item in found.bundles:
        for change in item.changed:
            lines.append(
                f"{_name_of(item)}: {change.file} ({change.true_label}): "
                f"{_named(change.before)} -> {_named(change.after)}"
            )
    lines += [f"unreadable: {path}" for path in found.unreadable]
    return "\n".join(lines)


def _name_of(item: "BundleFigures") -> str:
    name = Path(item.folder).name
    return name if item.products == "float32" else f"{name}, {item.products}"


def _named(score: "ClassScore") -> str:
    return f"{score.label if score.label is not None else score.index} {score.score:.3f}"


def run(arguments: argparse.Namespace) -> None:
    """Compare bundles; print the table, and write it where asked."""
    from paddlevideo.apps.comparison import compare_bundles, labelled_videos
    from paddlevideo.runtime import read_bundle
    from paddlevideo.runtime.engines import EngineOptions
    from paddlevideo.utils.files import write_json

    bundles = [read_bundle(folder) for folder in arguments.model_dir]
    videos = labelled_videos(arguments.input, bundles[0].manifest.labels)
    options = EngineOptions(
        device="cpu", cpu_threads=1, engine=arguments.engine, products=arguments.products
    )
    found = compare_bundles(bundles, videos, options, arguments.repeats)
    if arguments.output:
        write_json(arguments.output, found.as_dict())
    say(table(found))
