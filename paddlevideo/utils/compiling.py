"""Compile functions with numba, and keep the result on the disk where that can be.

This module imports numba: import it only where its kernels are wanted.
"""

from collections.abc import Callable
from typing import Any

import numba


def kept_on_disk(**options: Any) -> Callable[[Callable], Any]:
    """A decorator: `numba.njit` with its cache on the disk.

    Numba keeps it beside the source, or in the user's cache folder. Where it may write to neither
    (a read-only image without a home), it raises; then the function is compiled in every process.
    """

    def decorate(function: Callable) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:
            return numba.njit(**options)(function)

    return decorate
