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

import _root  # noqa: F401
from _predict_stream import add_stream_options, check_picture_options, run_stream
from tqdm import tqdm

from paddlevideo.deploy.batches.prediction import VideoFailure, find_videos, predict_files
from paddlevideo.deploy.batches.results import ResultFile
from paddlevideo.deploy.batches.workers import predict_with_workers
from paddlevideo.deploy.bundle import Bundle
from paddlevideo.deploy.engines import EngineOptions
from paddlevideo.deploy.engines.base import ENGINE_NAMES
from paddlevideo.deploy.locate import locate_bundle
from paddlevideo.deploy.predictor import VideoResult, open_predictor
from paddlevideo.entry import no_effect, open_recipe, run_command
from paddlevideo.utils.device import keep_freed_memory
from paddlevideo.utils.errors import ConfigError, DataError

STREAM_OPTIONS = ("window", "reset_on_cut", "smooth", "max_seconds", "frame_size", "frame_rate",
                  "live", "reconnect", "save_video", "save_plot")  # fmt: skip
FILE_OPTIONS = ("workers", "batch_size")
TENSORRT_OPTIONS = ("precision", "tensorrt_max_batch", "tensorrt_cache")
PADDLE_OPTIONS = ("ir_optim", "gpu_mem", "enable_mkldnn")


def to_bool(text: str) -> bool:
    """``--use_gpu=False``, in PaddleVideo's spelling."""
    values = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
    try:
        return values[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"expected True or False, got {text}") from None


def positive(text: str) -> int:
    """An integer above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return int(text)


def parse_arguments() -> argparse.Namespace:
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
    parser.add_argument("--top_k", type=positive, default=1, help="classes to show")
    parser.add_argument("--output", type=Path, help="results as .jsonl or .csv")
    parser.add_argument("-b", "--batch_size", type=positive, default=1)
    parser.add_argument("--workers", type=positive, default=1, help="processes")
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="auto")
    parser.add_argument("--use_gpu", type=to_bool, help="default: where there is one")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32")
    parser.add_argument("--ir_optim", type=to_bool, default=True)
    parser.add_argument("--use_tensorrt", type=to_bool, default=False)
    parser.add_argument("--tensorrt_max_batch", type=positive, default=8)
    parser.add_argument(
        "--tensorrt_cache", type=Path, help="folder for built engines (default: beside the program)"
    )
    parser.add_argument("--gpu_mem", type=positive, default=8000, help="MB")
    parser.add_argument("--enable_mkldnn", type=to_bool, default=True, help="oneDNN on the CPU")
    parser.add_argument("--cpu_threads", type=positive, help="default: all cores")
    parser.add_argument("--enable_benchmark", type=to_bool, default=False, help="not available")
    parser.add_argument(
        "--disable_glog",
        type=to_bool,
        default=True,
        help="accepted: Paddle's own log lines are never shown",
    )
    for name in ("use_npu", "use_xpu", "time_test_file"):
        parser.add_argument(f"--{name}", type=to_bool, default=False, help="not available")
    add_stream_options(parser)
    arguments = parser.parse_args()
    check_options(parser, arguments)
    return arguments


def check_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse an option that would do nothing beside the others.

    Raises:
        ConfigError: the message names it.
    """
    changed = {name for name, value in vars(arguments).items() if value != parser.get_default(name)}
    for name in ("use_npu", "use_xpu", "time_test_file", "enable_benchmark"):
        if name in changed:
            raise ConfigError(f"--{name} is not available here; leave it out")
    without_effect = {
        "--stream": not arguments.stream and changed & set(STREAM_OPTIONS),
        "a list of files, without --stream": arguments.stream and changed & set(FILE_OPTIONS),
        "--use_tensorrt=True": not arguments.use_tensorrt and changed & set(TENSORRT_OPTIONS),
        "--model_file and --params_file": arguments.model_dir
        and changed & {"model_file", "params_file", "config"},
        "--engine auto or paddle": arguments.engine not in ("auto", "paddle")
        and changed & set(PADDLE_OPTIONS),
    }
    for needed, names in without_effect.items():
        if names:
            raise no_effect(min(names), needed)


def engine_options(arguments: argparse.Namespace) -> EngineOptions:
    device = {None: "auto", True: "gpu", False: "cpu"}[arguments.use_gpu]
    return EngineOptions(
        device=device,
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
    arguments = parse_arguments()
    keep_freed_memory()
    if arguments.stream:
        run_stream(
            lambda: open_predictor(open_bundle(arguments), engine_options(arguments)), arguments
        )
    else:
        check_picture_options(arguments)
        predict_all(arguments)


if __name__ == "__main__":
    run_command(main)
