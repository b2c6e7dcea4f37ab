"""The options of ``tools/predict.py``, ``paddlevideo predict`` and ``stream``.

Nothing heavy is imported, so that help is quick.
"""

import argparse
import re
from functools import partial
from pathlib import Path

from paddlevideo.utils.errors import ConfigError, no_effect

# Those of `paddlevideo.runtime.engines.base`, which imports NumPy.
ENGINE_NAMES = ("auto", "paddle", "onnxruntime", "compiled", "litert")
PRODUCTS = ("float32", "bfloat16")
STREAM_OPTIONS = ("window", "reset_on_cut", "smooth", "max_seconds", "frame_size", "frame_rate",
                  "live", "reconnect", "save_video", "save_plot", "show")  # fmt: skip
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


def add_prediction_options(parser: argparse.ArgumentParser) -> None:
    """Those that say how to predict, of whichever model."""
    parser.add_argument("--top_k", type=positive, default=1, help="classes to show")
    parser.add_argument("--output", type=Path, help="results as .jsonl or .csv")
    parser.add_argument("--engine", choices=ENGINE_NAMES, default="auto")
    add_products_option(parser)
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


def add_products_option(parser: argparse.ArgumentParser) -> None:
    """What the compiled engine's matrix products multiply."""
    parser.add_argument(
        "--products", choices=PRODUCTS, default="float32",
        help="of the compiled engine and float bundles; bfloat16: faster, where the processor has "
        "it (float32)",
    )  # fmt: skip


def positive_number(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


def seconds_or_none(text: str) -> float:
    """A number of at least 0."""
    return 0.0 if text in ("0", "0.0") else positive_number(text)


def frame_size(text: str) -> tuple[int, int]:
    """``640x480``."""
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text.lower())
    if match is None:
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT, such as 640x480, got {text}")
    return int(match[1]), int(match[2])


def add_file_options(parser: argparse.ArgumentParser) -> None:
    """Those of many files."""
    parser.add_argument("-b", "--batch_size", type=positive, default=1)
    parser.add_argument("--workers", type=positive, default=1, help="processes")


def add_stream_options(parser: argparse.ArgumentParser) -> None:
    """Those of a stream."""
    group = parser.add_argument_group("streams")
    add_seconds = partial(group.add_argument, type=positive_number, metavar="SECONDS")
    add_seconds("--window", help="start anew every so often")
    group.add_argument("--reset_on_cut", action="store_true", help="start anew with each scene")
    add_seconds("--smooth", help="time constant of the scores' smoothing")
    add_seconds("--max_seconds", help="end there")
    group.add_argument("--frame_size", type=frame_size, metavar="WxH", help="raw rgb24 in the pipe")
    group.add_argument("--frame_rate", type=positive_number, help="of frames without timestamps")
    group.add_argument(
        "--live", action=argparse.BooleanOptionalAction,
        help="drop old frames instead of lagging (default: cameras and live URLs)",
    )  # fmt: skip
    group.add_argument(
        "--reconnect", type=seconds_or_none, default=30.0, metavar="SECONDS",
        help="how long to try to get a lost network stream back; 0: its end is the end",
    )  # fmt: skip
    group.add_argument(
        "--save_video", type=Path, metavar="FILE.mp4", help="the video with the running top 5 on it"
    )
    group.add_argument(
        "--show", action="store_true", help="a window with the picture and the running top 5"
    )
    group.add_argument(
        "--save_plot", type=Path, metavar="FILE.png", help="the top 5 over time, above frames"
    )


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
