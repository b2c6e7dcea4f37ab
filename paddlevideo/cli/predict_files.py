"""Classify videos with an exported model.

python tools/predict.py --model_dir inference/MoViNetA0 --input_file video.mp4 --top_k 5

--input_file may be a video, a folder of videos, or a list file with a path on each line. With
--output the results go to a file too, and an interrupted run goes on where it ended.

python tools/predict.py --stream --model_dir inference/MoViNetA0Stream --input_file 0

follows a stream: a file, a camera (its number), a URL, or - for a pipe (docs/streaming.md),
and with --save_video and --save_plot draws what the model says of it.
"""

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from tqdm import tqdm

from paddlevideo.apps.bulk.prediction import VideoFailure, find_videos, predict_files
from paddlevideo.apps.bulk.results import ResultFile
from paddlevideo.apps.bulk.workers import predict_with_workers
from paddlevideo.apps.recipes import open_recipe
from paddlevideo.cli.follow_stream import check_picture_options, run_stream
from paddlevideo.cli.prediction_options import (
    add_file_options,
    add_prediction_options,
    add_stream_options,
    check_options,
)
from paddlevideo.modeling.device import keep_freed_memory
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.runtime.engines import EngineOptions
from paddlevideo.runtime.engines.base import DeviceName
from paddlevideo.runtime.locate import locate_bundle
from paddlevideo.runtime.predictor import VideoResult, open_predictor
from paddlevideo.utils.errors import DataError


def parse_arguments() -> argparse.Namespace:
    """The options of ``tools/predict.py``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-i",
        "--input_file",
        required=True,
        help="video, folder, list file; or a source with --stream",
    )
    parser.add_argument("--model_dir", help="folder that tools/export_model.py wrote")
    parser.add_argument("--model_file", help="the program (.json or .pdmodel), without --model_dir")
    parser.add_argument("--params_file", help="its weights (.pdiparams)")
    parser.add_argument(
        "-c", "--config", help="config; needed only for files without inference.yml"
    )
    add_prediction_options(parser)
    add_file_options(parser)
    parser.add_argument(
        "--stream",
        action="store_true",
        help="frame by frame; --input_file is a file, a camera's number, a URL, or - for a pipe",
    )
    add_stream_options(parser)
    arguments = parser.parse_args()
    check_options(parser, arguments)
    return arguments


def engine_options(arguments: argparse.Namespace) -> EngineOptions:
    """How the bundle's programs are to be run."""
    devices: dict[bool | None, DeviceName] = {None: "auto", True: "gpu", False: "cpu"}
    return EngineOptions(
        device=devices[arguments.use_gpu],
        cpu_threads=arguments.cpu_threads,
        onednn=arguments.enable_mkldnn,
        ir_optim=arguments.ir_optim,
        gpu_memory_mb=arguments.gpu_mem,
        use_tensorrt=arguments.use_tensorrt,
        precision=arguments.precision,
        engine=arguments.engine,
        tensorrt_max_batch=arguments.tensorrt_max_batch,
        tensorrt_cache=arguments.tensorrt_cache,
    )


def show(result: VideoResult) -> None:
    """PaddleVideo's lines, and the label where it is known."""
    lines = [f"Current video file: {result.path}"]
    if result.frames_lost:
        lines.append(f"\tframes read: {result.frames_read}, lost: {result.frames_lost}")
    for rank, item in enumerate(result.top, start=1):
        lines.append(f"\ttop-{rank} class: {item.index}")
        lines.append(f"\ttop-{rank} score: {item.score}")
        if item.label is not None:
            lines.append(f"\ttop-{rank} label: {item.label}")
    tqdm.write("\n".join(lines))


def open_bundle(arguments: argparse.Namespace) -> Bundle:
    """The bundle that the options name."""
    pipeline = open_recipe(arguments.config).inference_description() if arguments.config else None
    return locate_bundle(arguments.model_dir, arguments.model_file, arguments.params_file, pipeline)


def predicted(
    bundle: Bundle, paths: list[Path], arguments: argparse.Namespace
) -> Iterator[VideoResult | VideoFailure]:
    """Results and failures in the order of ``paths``, by one process or several."""
    options = engine_options(arguments)
    if not paths:
        return iter(())
    if arguments.workers > 1 and len(paths) > 1:
        return predict_with_workers(
            bundle, options, paths, arguments.batch_size, arguments.top_k, arguments.workers
        )
    predictor = open_predictor(bundle, options)
    return predict_files(predictor, paths, arguments.batch_size, arguments.top_k)


def predict_all(arguments: argparse.Namespace) -> None:
    """Classify the files, go on past those that cannot be read, and tell of them at the end."""
    paths = find_videos(arguments.input_file)
    bundle = open_bundle(arguments)
    failures = []
    result_file = (
        ResultFile(arguments.output, arguments.top_k, bundle.digest()) if arguments.output else None
    )
    with result_file or nullcontext():
        paths = result_file.remaining(paths) if result_file else paths
        results = predicted(bundle, paths, arguments)
        for result in tqdm(results, total=len(paths), disable=len(paths) < 2 or None, leave=False):
            if result_file is not None:
                result_file.write(result)
            if isinstance(result, VideoFailure):
                failures.append(result)
            else:
                show(result)
    if failures:
        reasons = "\n  ".join(failure.reason for failure in failures)
        raise DataError(f"{len(failures)} of {len(paths)} files could not be read:\n  {reasons}")


def main() -> None:
    """``tools/predict.py``."""
    predict(parse_arguments())


def predict(arguments: argparse.Namespace) -> None:
    """Classify files or follow a stream, as the options ask."""
    keep_freed_memory()
    if arguments.stream:
        run_stream(
            lambda: open_predictor(open_bundle(arguments), engine_options(arguments)), arguments
        )
    else:
        check_picture_options(arguments)
        predict_all(arguments)
