"""Quantise an exported model: weights, and where the device gains by it arithmetic, on 8 bits.

python tools/export_model.py -c CONFIG -p WEIGHTS -o inference/Mine --format paddle,onnx
python tools/quantize.py --model_dir inference/Mine --calibration data/mine/train --num_videos 100

The videos are of the kind that the model is to see, and not those that it is tested on: each runs
through the model frame by frame, its states handed on. A layer that alone damages the logits too
much stays in float; the table says which (docs/quantization.md).
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("quantize", __doc__)
