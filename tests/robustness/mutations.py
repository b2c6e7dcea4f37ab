"""Seeded mutations of a file's bytes: the same seed gives the same mutants everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_EXTREMES = (b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff" * 8, b"\x00" * 8)


def mutants(
    data: bytes, count: int, seed: int, in_body: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Yield ``count`` (name, bytes): flips, runs of zeros and noise, cuts, copies, extremes.

    Args:
        in_body: leave the length, and the first and last eighth, where headers and indices are: a
            container is then still opened, and it is the decoder that meets the damage.
    """
    kinds = _IN_PLACE if in_body else (*_IN_PLACE, _cut, _remove, _double)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        first, last = (len(data) // 8, len(data) - len(data) // 8) if in_body else (0, len(data))
        mutant = bytearray(data[first:last])
        names = []
        for _ in range(int(rng.integers(1, 4))):
            kind = kinds[int(rng.integers(len(kinds)))]
            names.append(kind.__name__.lstrip("_"))
            if mutant:
                mutant = kind(mutant, rng)
        name = f"seed {seed}, number {number}: {', '.join(names)}{' in the body' * in_body}"
        yield name, data[:first] + bytes(mutant) + data[last:]


def _place(data: bytearray, rng: np.random.Generator) -> int:
    """Half of the places lie in the first kilobyte, where headers are."""
    end = len(data) if rng.integers(2) else min(len(data), 1024)
    return int(rng.integers(end))


def _span(data: bytearray, rng: np.random.Generator) -> slice:
    start = _place(data, rng)
    longest = max(2, min(len(data) // 4, 4096))
    return slice(start, min(len(data), start + int(rng.integers(1, longest))))


def _flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(int(rng.integers(1, 9))):
        data[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return data


def _zeros(data: bytearray, rng: np.random.Generator) -> bytearray:
    span = _span(data, rng)
    data[span] = bytes(span.stop - span.start)
    return data


def _noise(data: bytearray, rng: np.random.Generator) -> bytearray:
    span = _span(data, rng)
    data[span] = rng.bytes(span.stop - span.start)
    return data


def _cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: _place(data, rng)]


def _remove(data: bytearray, rng: np.random.Generator) -> bytearray:
    del data[_span(data, rng)]
    return data


def _double(data: bytearray, rng: np.random.Generator) -> bytearray:
    span = _span(data, rng)
    place = _place(data, rng)
    data[place:place] = data[span]
    return data


def _extreme(data: bytearray, rng: np.random.Generator) -> bytearray:
    start = _place(data, rng)
    value = _EXTREMES[int(rng.integers(len(_EXTREMES)))]
    data[start : start + len(value)] = value
    return data


def _swap(data: bytearray, rng: np.random.Generator) -> bytearray:
    first, second = _span(data, rng), _span(data, rng)
    length = min(first.stop - first.start, second.stop - second.start)
    a, b = first.start, second.start
    data[a : a + length], data[b : b + length] = data[b : b + length], data[a : a + length]
    return data


_IN_PLACE = (_flip, _zeros, _noise, _extreme, _swap)
