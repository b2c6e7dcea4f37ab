"""Watch a training from another terminal: a progress bar fed by the run's metrics.jsonl.

python tools/follow_run.py output/MoViNet [--pid PROCESS]
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("follow_run", __doc__)
