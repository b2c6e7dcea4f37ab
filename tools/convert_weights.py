"""Other implementations' weights as ours: the same as ``paddlevideo convert``.

python tools/convert_weights.py --source tf --input CHECKPOINT --model NAME --output FILE
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("convert")
