"""Classify videos with an exported model: ``paddlevideo.cli.predict_files`` says how.

python tools/predict.py --model_dir inference/MoViNetA0 --input_file video.mp4 --top_k 5
"""

import _root  # noqa: F401

from paddlevideo.apps.recipes import run_command
from paddlevideo.cli.predict_files import main

if __name__ == "__main__":
    run_command(main)
