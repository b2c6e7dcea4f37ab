"""What a program file of Paddle says of its inputs.

Paddle Inference runs a program on arrays of other sizes and types without a word wherever its
operations allow it, and the result is wrong: fixed padding and scaling are part of the program.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class DeclaredInput:
    """Shape (-1: any size) and dtype of one input."""

    shape: tuple[int, ...]
    dtype: str

    def fits(self, array: np.ndarray) -> bool:
        """Whether the program is for such an array."""
        sizes = zip(self.shape, array.shape, strict=False)
        same_axes = len(self.shape) == array.ndim
        return same_axes and str(array.dtype) == self.dtype and all(a in (-1, b) for a, b in sizes)


def declared_inputs(program: Path) -> dict[str, DeclaredInput]:
    """The inputs of a ``.json`` program by name; empty for other files, which do not say."""
    if program.suffix != ".json":
        return {}
    try:
        document = json.loads(program.read_text(encoding="utf-8"))
        operations = document["program"]["regions"][0]["blocks"][0]["ops"]
        found = [_attributes(item) for item in operations if str(item["#"]).endswith(".data")]
        return {
            item["name"]: DeclaredInput(tuple(item["shape"]), item["dtype"])
            for item in found
            if {"name", "shape", "dtype"} <= set(item)
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError):
        return {}  # the engine itself will say what is wrong with the file


def _attributes(operation: dict[str, Any]) -> dict[str, Any]:
    return {item["N"]: item["AT"].get("D") for item in operation["A"]}
