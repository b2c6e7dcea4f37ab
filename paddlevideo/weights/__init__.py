"""Weights: one way to read files, one way to fit arrays to a model, and the importers."""

from paddlevideo.weights.files import read_weights, write_weights
from paddlevideo.weights.fit import (
    check_arrays,
    load_arrays,
    load_initial_arrays,
    model_arrays,
)

__all__ = [
    "check_arrays",
    "load_arrays",
    "load_initial_arrays",
    "model_arrays",
    "read_weights",
    "write_weights",
]
