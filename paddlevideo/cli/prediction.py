"""What ``paddlevideo predict`` and ``paddlevideo stream`` share."""

import argparse

from paddlevideo.cli.prediction_options import (
    add_file_options,
    add_prediction_options,
    add_stream_options,
    check_options,
)
from paddlevideo.utils.packages import TRAINING, require_packages


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which model, and how to predict."""
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--bundle", metavar="DIR", help="an exported model, such as of a fit")
    model.add_argument(
        "--model", metavar="NAME", help="released weights: paddlevideo download --list"
    )
    add_prediction_options(parser)


def run_prediction(arguments: argparse.Namespace, stream: bool) -> None:
    """Find the model, then predict.

    Raises:
        ConfigError: an option that would do nothing beside the others.
    """
    from paddlevideo.cli.predict_files import predict

    every = argparse.ArgumentParser(add_help=False)
    for add in (add_prediction_options, add_file_options, add_stream_options):
        add(every)
    every.set_defaults(
        stream=stream, model_dir=None, model_file=None, params_file=None, config=None
    )
    whole = argparse.Namespace(**{**vars(every.parse_args([])), **vars(arguments)})
    check_options(every, whole)
    whole.model_dir = whole.bundle or _released(whole.model)
    predict(whole)


def _released(name: str) -> str:
    """The bundle of released weights; exporting them needs Paddle."""
    require_packages("--model", *TRAINING, otherwise="name an exported model: --bundle DIR")
    from paddlevideo.cli.released_bundle import released_bundle
    from paddlevideo.modeling.device import leave_signals_alone

    leave_signals_alone()
    return str(released_bundle(name))
