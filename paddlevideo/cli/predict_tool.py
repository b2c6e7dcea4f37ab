"""``tools/predict.py``: files or a stream, with PaddleVideo's options."""

import argparse

from paddlevideo.cli.prediction_options import (
    add_file_options,
    add_prediction_options,
    add_stream_options,
    check_options,
)

PACKAGES = ()  # the runtime; Paddle where it is asked for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tools/predict.py``."""
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


def run(arguments: argparse.Namespace) -> None:
    """Classify files or follow a stream, as the options ask.

    Raises:
        ConfigError: an option that would do nothing beside the others.
    """
    defaults = argparse.ArgumentParser(add_help=False)
    add_arguments(defaults)
    check_options(defaults, arguments)
    from paddlevideo.cli.predict_files import predict

    predict(arguments)
