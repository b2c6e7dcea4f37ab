"""Functions compiled by numba, with and without a place for its cache."""

import pytest

numba = pytest.importorskip("numba")

from paddlevideo.utils.compiling import kept_on_disk  # noqa: E402


@pytest.mark.parametrize("has_place", [True, False])
def test_it_computes_with_and_without_a_cache(monkeypatch, has_place):
    """A read-only image without a home has no place to keep what was compiled."""
    real = numba.njit

    def without_a_place(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    if not has_place:
        monkeypatch.setattr(numba, "njit", without_a_place)

    @kept_on_disk(nogil=True)
    def doubled(x):
        return 2 * x

    assert doubled(21) == 42
    assert bool(doubled.stats.cache_path) == has_place
