"""What tests of several parts share."""

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from paddlevideo.utils.packages import is_installed

# On a busy machine any example may be slow: a test of properties does not judge time.
settings.register_profile("paddlevideo", deadline=None)
settings.load_profile("paddlevideo")

_SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


def _seed_paddle(name: str) -> None:
    """Random weights are a function of ``name``, whatever ran before in this process."""
    paddle = sys.modules.get("paddle")  # importing it takes longer than most tests
    if paddle is not None:
        paddle.seed(zlib.crc32(name.encode()))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object],
) -> Iterator[None]:
    _seed_paddle(fixturedef.argname)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    _seed_paddle(item.nodeid)


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
