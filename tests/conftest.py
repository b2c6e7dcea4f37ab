"""What tests of several parts share."""

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of goldens and real videos beside the project; tests that need it skip without."""
    if not _SHARED.is_dir():
        pytest.skip("needs ../shared (goldens, videos), which is absent")
    return _SHARED
