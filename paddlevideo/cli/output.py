"""What commands write for people and pipes: results to stdout (the log goes to stderr)."""

import sys
from collections.abc import Sequence


def say(text: str) -> None:
    """Write a line to stdout."""
    sys.stdout.write(f"{text}\n")


def say_table(rows: Sequence[Sequence[str]], numbers: bool = False) -> None:
    """Write rows with their columns under each other; the first row is the header.

    Args:
        numbers: all columns but the first are to the right.
    """
    say("\n".join(aligned(rows, numbers)))


def aligned(rows: Sequence[Sequence[str]], numbers: bool = False) -> list[str]:
    """The lines of `say_table`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    pad = str.rjust if numbers else str.ljust
    return [
        "  ".join((row[0].ljust(widths[0]), *map(pad, row[1:], widths[1:]))).rstrip()
        for row in rows
    ]
