"""Pages about runs: one HTML file each, with nothing from outside.

May import what ``apps`` may. Begin reading in `page`.
"""

from paddlevideo.apps.reports.comparison import COMPARISON_NAME, write_comparison
from paddlevideo.apps.reports.curves import CURVES_NAME, write_curves
from paddlevideo.apps.reports.page import REPORT_NAME, write_report
from paddlevideo.apps.reports.parts import (
    DATA_CHECK_NAME,
    NEXT_COMMANDS_NAME,
    TIMELINES_NAME,
    DataCheck,
    NextCommand,
    Table,
    Timeline,
    write_part,
)

__all__ = [
    "COMPARISON_NAME",
    "CURVES_NAME",
    "DATA_CHECK_NAME",
    "NEXT_COMMANDS_NAME",
    "REPORT_NAME",
    "TIMELINES_NAME",
    "DataCheck",
    "NextCommand",
    "Table",
    "Timeline",
    "write_comparison",
    "write_curves",
    "write_part",
    "write_report",
]
