"""Structured mutations of a document: a node of it is replaced by an odd value."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

_DEEP: list[Any] = []
for _ in range(40):
    _DEEP = [_DEEP]

ODD_VALUES: tuple[Any, ...] = (
    *(None, -1, 0, 1, 2**31, 10**9, 10**12, 2**62, 10**30, -(10**30)),
    *(1e308, float("nan"), float("inf"), -float("inf"), 0.5, True, False),
    *("", "x", "x" * 10_000, "../x", "/x", "\x00", "a\nb", "日本", "nan", "1e400", "{:999999999}"),
    *([], {}, [[]], [None], [1] * 1000, {"name": "x"}, {"name": None}, {"x": 1}, _DEEP),
    *([0], [-1], [1e308, 1e308, 1e308], ["x", "x"]),
)


def structured_mutants(document: Any, count: int, seed: int) -> Iterator[tuple[str, Any]]:
    """Yield ``count`` (name, document), each with one to three places replaced, gone or doubled."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        mutant = copy.deepcopy(document)
        names = [_change(mutant, rng) for _ in range(int(rng.integers(1, 4)))]
        yield f"seed {seed}, number {number}: {'; '.join(names)}", mutant


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return
    for key, item in items:
        yield (*path, key)
        yield from _places(item, (*path, key))


def _change(document: Any, rng: np.random.Generator) -> str:
    places = list(_places(document))
    if not places:
        return "empty"
    *parents, last = places[int(rng.integers(len(places)))]
    node = document
    for key in parents:
        node = node[key]
    kind = int(rng.integers(10))
    path = ".".join(map(str, (*parents, last)))
    if kind == 0:
        del node[last]
        return f"{path} gone"
    if kind == 1 and isinstance(node, list):
        node.append(copy.deepcopy(node[last]))
        return f"{path} doubled"
    if kind == 2:  # the value of another place
        other = places[int(rng.integers(len(places)))]
        value = document
        for key in other:
            value = value[key] if _has(value, key) else None
        node[last] = copy.deepcopy(value)
        return f"{path} = that of {'.'.join(map(str, other))}"
    value = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
    node[last] = copy.deepcopy(value)
    return f"{path} = {str(value)[:30]!r}"


def _has(value: Any, key: Any) -> bool:
    if isinstance(value, dict):
        return key in value
    return isinstance(value, list) and isinstance(key, int) and key < len(value)
