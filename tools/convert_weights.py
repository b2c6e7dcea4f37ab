"""Other implementations' weights as ours: the same as ``paddlevideo convert``.

python tools/convert_weights.py --source tf --input CHECKPOINT --model NAME --output FILE
"""

import argparse

import _root  # noqa: F401

from paddlevideo.apps.recipes import run_command
from paddlevideo.cli import convert


def main() -> None:
    parser = argparse.ArgumentParser(
        description=convert.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    convert.add_arguments(parser)
    convert.run(parser.parse_args())


if __name__ == "__main__":
    run_command(main)
