"""Put the project's root on the path, so that the tools run from a checkout without installing."""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

import paddlevideo  # noqa: F401 - first, as it keeps Paddle's notice about ccache away
