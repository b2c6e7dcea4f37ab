"""What a pickle holds, as plain values of its own: counted, and nested to a limit."""

from collections.abc import Callable
from typing import Any

from paddlevideo.utils.limits import how_to_raise, limit
from paddlevideo.utils.pickle_source import PickleError

_PLAIN = (str, bytes, int, float, bool, type(None), set, frozenset)


def plain_values(value: object, finished: Callable[[object], object]) -> object:
    """Return ``value`` with every leaf replaced, in containers of any kind.

    A container that is held twice becomes two: a few bytes can hold lists of lists that
    are billions of values, so all that is visited is counted.

    Args:
        finished: what stands for a leaf that is no plain value; raises for what is no content.
    """
    most, deepest = int(limit("pickle_steps")), int(limit("pickle_depth"))
    num_visited = 0

    def visit(item: Any, depth: int) -> object:
        """Return one value with its leaves replaced."""
        nonlocal num_visited
        num_visited += 1
        if num_visited > most:
            raise PickleError(f"it holds more values; {how_to_raise('pickle_steps')}")
        if type(item) not in (dict, list, tuple):
            return item if isinstance(item, _PLAIN) else finished(item)
        if depth >= deepest:
            raise PickleError(f"it is nested more deeply; {how_to_raise('pickle_depth')}")
        if type(item) is dict:
            return {key: visit(inner, depth + 1) for key, inner in item.items()}
        return type(item)([visit(inner, depth + 1) for inner in item])

    return visit(value, 0)
