"""Classify videos with a model of yours, or with released weights.

paddlevideo predict clip.mp4 --bundle runs/mine/bundle
paddlevideo predict FOLDER --model movinet_a0_stream_k600 --top_k 5 --output results.csv

Released weights are fetched and exported once, into the cache.
"""

import argparse

from paddlevideo.cli.prediction import add_model_options, run_prediction
from paddlevideo.cli.prediction_options import add_file_options

PACKAGES = ()  # the runtime; Paddle where it is asked for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input_file", metavar="FILE|FOLDER|LIST", help="what to classify")
    add_model_options(parser)
    add_file_options(parser)


def run(arguments: argparse.Namespace) -> None:
    run_prediction(arguments, stream=False)
