"""Say what registered models cost and want: parameters, multiply-adds, states, native input.

python tools/model_info.py                                  # every model
python tools/model_info.py "*_stream" --num_classes 400 --format markdown
python tools/model_info.py NAME --size 224 --option conv_type=3d se_type=3d
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("model_info", __doc__)
