"""Read every listed sample of a config and say which cannot be used, before training starts.

python tools/check_data.py -c CONFIG [--split train valid test] [--output bad.jsonl]

Samples that are read, but not whole, are named too: damaged frames are left out of their clips.
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("check_data", __doc__)
