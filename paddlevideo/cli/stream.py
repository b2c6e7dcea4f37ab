"""Follow a camera, a file or a URL, frame by frame; a line of JSON a step.

paddlevideo stream 0 --bundle runs/mine/bundle --show
paddlevideo stream rtsp://... --model movinet_a0_stream_k600 --window 10

Released weights are fetched and exported once, into the cache.
"""

import argparse

from paddlevideo.cli.prediction import add_model_options, run_prediction
from paddlevideo.cli.prediction_options import add_stream_options

PACKAGES = ()  # the runtime; Paddle where it is asked for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "input_file", metavar="SOURCE", help="a file, a camera's number, a URL, or - for a pipe"
    )
    add_model_options(parser)
    add_stream_options(parser)


def run(arguments: argparse.Namespace) -> None:
    run_prediction(arguments, stream=True)
