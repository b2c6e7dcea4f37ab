"""What commands write for people and pipes: results to stdout (the log goes to stderr)."""

import sys
from collections.abc import Sequence


def say(text: str) -> None:
    """Write a line to stdout."""
    sys.stdout.write(f"{text}\n")


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Write rows with their columns under each other; the first row is the header."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(padded).rstrip())
