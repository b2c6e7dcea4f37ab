"""Make a page about a run, one HTML file; of several runs, one page that compares them.

python tools/report.py output/MyModel [output/Another ...] [--output page.html]
"""

import _root  # noqa: F401

from paddlevideo.cli.main import run_tool

if __name__ == "__main__":
    run_tool("report", __doc__)
