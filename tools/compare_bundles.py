"""Compare the float32, float16 and int8 bundles of a model: size, time, accuracy, other answers.

python tools/compare_bundles.py --model_dir inference/Mine inference/Mine_int8 \\
    --input data/mine/val --output report.json

The videos are a folder of class folders, or a list file of lines "path label". One thread; the time
is that of one frame of one stream, the bundles taking turns. The first bundle is what the others
are compared with.
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("compare", __doc__)
