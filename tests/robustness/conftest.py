"""What tests with hostile files share."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _compiled_ahead(compiled_kernels) -> None:
    """``auto`` takes the compiled engine at once."""
