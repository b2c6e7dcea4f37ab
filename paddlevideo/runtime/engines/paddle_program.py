"""What a program file of Paddle says of its inputs.

Paddle Inference runs a program on arrays of other sizes and types without a word wherever its
operations allow it, and the result is wrong: fixed padding and scaling are part of the program.
"""

import json
from pathlib import Path

from paddlevideo.runtime.engines.base import DeclaredInput


def declared_inputs(program: Path) -> dict[str, DeclaredInput]:
    """The inputs of a ``.json`` program by name; empty for other files, which do not say."""
    if program.suffix != ".json":
        return {}
    try:
        document = json.loads(program.read_text(encoding="utf-8"))
        operations = document["program"]["regions"][0]["blocks"][0]["ops"]
        found = [
            {attribute["N"]: attribute["AT"].get("D") for attribute in item["A"]}
            for item in operations
            if str(item["#"]).endswith(".data")
        ]
        return {
            item["name"]: DeclaredInput(tuple(item["shape"]), item["dtype"])
            for item in found
            if {"name", "shape", "dtype"} <= set(item)
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError):
        return {}  # the engine itself will say what is wrong with the file
