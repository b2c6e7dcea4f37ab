"""What ``paddlevideo predict`` and ``paddlevideo stream`` share."""

import argparse

from paddlevideo.cli.prediction_options import (
    add_prediction_options,
    add_stream_options,
    check_options,
)
from paddlevideo.utils.errors import ConfigError


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which model, and how to predict."""
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--bundle", metavar="DIR", help="an exported model, such as of a fit")
    model.add_argument(
        "--model", metavar="NAME", help="released weights: paddlevideo download --list"
    )
    add_prediction_options(parser)
    add_stream_options(parser)


def run_prediction(arguments: argparse.Namespace, stream: bool) -> None:
    """Find the model, then predict.

    Raises:
        ConfigError: an option that would do nothing beside the others.
    """
    from paddlevideo.cli.predict_files import predict
    from paddlevideo.cli.released_bundle import released_bundle
    from paddlevideo.utils.device import leave_signals_alone

    leave_signals_alone()
    if arguments.stream:
        raise ConfigError("--stream is an option of tools/predict.py; use paddlevideo stream")
    arguments.stream = stream
    plain = argparse.ArgumentParser(add_help=False)
    plain.add_argument("input_file", nargs="?")
    for name in ("model_dir", "model_file", "params_file", "config"):
        plain.add_argument(f"--{name}")
        setattr(arguments, name, None)
    add_model_options(plain)
    plain.set_defaults(stream=stream)
    check_options(plain, arguments)
    arguments.model_dir = arguments.bundle or str(released_bundle(arguments.model))
    predict(arguments)
