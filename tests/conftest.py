"""What tests of several parts share."""

from pathlib import Path

import pytest

from paddlevideo.utils.packages import is_installed

_SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of goldens and real videos beside the project; tests that need it skip without."""
    if not _SHARED.is_dir():
        pytest.skip("needs ../shared (goldens, videos), which is absent")
    return _SHARED


@pytest.fixture(scope="session")
def compiled_kernels() -> None:
    """The compiled engine is compiled, so that ``auto`` takes it at once; 10 s where it was not."""
    if is_installed("numba"):
        from paddlevideo.runtime.engines.compiled.kernel_loader import compiled_loop

        compiled_loop()
