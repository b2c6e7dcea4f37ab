"""Check a list, a folder of videos or all samples of a config, before training starts.

python tools/check_data.py LIST|DIR|CONFIG ... [--json FILE] [--html FILE] [--fix LIST]

docs/check_data.md says what is found.
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("check_data", __doc__)
