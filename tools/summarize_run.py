"""Say in a few lines what a run trained, how well, and where its files lie.

python tools/summarize_run.py output/MoViNetA0Motion
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("summarize_run", __doc__)
