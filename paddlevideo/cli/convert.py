"""Convert weights of another implementation, prove them on a golden, and write them.

paddlevideo convert --source tf --input CHECKPOINT --model NAME --num_classes 600 \\
    --output OUT.pdparams [--option se_type=2plus3d] [--verify GOLDEN.npz]
paddlevideo convert --source tflite --input MODEL.tflite --output OUT.pdparams \\
    [--verify GOLDEN.npz] [--calibration VIDEOS]
paddlevideo convert --source bundle --input FOLDER --output OUT.pdparams [--calibration VIDEOS]

Nothing is written unless every weight of the model is found, nothing of the network is left over,
and the differences from the golden are at most 1e-5 of the largest value.
"""

import argparse
from pathlib import Path

from paddlevideo.utils.packages import TRAINING

# Those of `paddlevideo.convert.import_weights`, which imports NumPy.
SOURCE_NAMES = ("tf", "tflite", "bundle", "pytorch", "paddlevideo")

PACKAGES = TRAINING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo convert``."""
    parser.add_argument(
        "--source", required=True, choices=SOURCE_NAMES, help="whose weights they are"
    )
    parser.add_argument("--input", required=True, help="checkpoint prefix, file or folder")
    parser.add_argument(
        "--model", help="a registered name; a .tflite file or a bundle shows its own"
    )
    parser.add_argument("--num_classes", type=int, help="default: the golden's, or the model's own")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the model"
    )
    parser.add_argument("--output", required=True, type=Path, help=".pdparams or .safetensors file")
    parser.add_argument("--verify", metavar="GOLDEN.npz", help="input and outputs to compare with")
    parser.add_argument(
        "--calibration",
        metavar="VIDEOS",
        help="video, folder or list: put batch norm back from their clips (folded networks)",
    )


def run(arguments: argparse.Namespace) -> None:
    from paddlevideo.cli.convert_weights import convert

    convert(arguments)
