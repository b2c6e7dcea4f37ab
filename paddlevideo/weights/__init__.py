"""Weights: one way to read files, one way to fit arrays to a model, and the released ones.

What is listed here is imported when it is asked for: the table of released weights
(`paddlevideo.weights.published`) is read without Paddle. May import ``utils`` only. Begin
reading in `files`.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paddlevideo.weights.files import read_weights, write_weights
    from paddlevideo.weights.fit import check_arrays, load_arrays, load_initial_arrays, model_arrays

__all__ = [
    "check_arrays",
    "load_arrays",
    "load_initial_arrays",
    "model_arrays",
    "read_weights",
    "write_weights",
]


def __getattr__(name: str) -> object:
    """Import a public function when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "files" if name.endswith("_weights") else "fit"
    return vars(importlib.import_module(f"paddlevideo.weights.{module}"))[name]
