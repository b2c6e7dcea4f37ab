"""Export trained weights as a bundle that tools/predict.py, Paddle Inference and ONNX Runtime run.

python tools/export_model.py -c CONFIG -p WEIGHTS -o inference/MoViNetA0

A causal model gets a program of one frame, for streams, beside that of a whole clip.
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("export", __doc__)
