"""The data scripts run by path, with their own folder first on the path; so do their tests."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, ROOT / "data" / "motion"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
