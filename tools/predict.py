"""Classify videos with an exported model.

python tools/predict.py --model_dir inference/MoViNetA0 --input_file video.mp4 --top_k 5

--input_file may be a video, a folder of videos, or a list file with a path on each line. With
--output the results go to a file too, and an interrupted run goes on where it ended.

python tools/predict.py --stream --model_dir inference/MoViNetA0Stream --input_file 0

follows a stream: a file, a camera (its number), a URL, or - for a pipe (docs/streaming.md),
and with --save_video and --save_plot draws what the model says of it.
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("predict_tool", __doc__)
