"""Places for maps that live for a while: those that are not needed at the same time share one."""

from dataclasses import dataclass

from paddlevideo.runtime.engines.compiled.access import SLACK

_ALIGNMENT = 64


@dataclass(frozen=True)
class ArenaMap:
    """A map that needs a place.

    Attributes:
        slot: its number.
        size: bytes of one stream's map.
        first, last: the operations between which it is needed.
    """

    slot: int
    size: int
    first: int
    last: int


def place_maps(maps: tuple[ArenaMap, ...], streams: int) -> tuple[dict[int, int], int]:
    """Offsets in bytes by slot, and the arena's size: the largest maps first, as low as fits.

    Args:
        streams: maps of so many streams lie one after the other.
    """
    placed: list[tuple[ArenaMap, int, int]] = []
    for item in sorted(maps, key=lambda item: -item.size):
        size = -(-(item.size * streams + SLACK) // _ALIGNMENT) * _ALIGNMENT
        taken = sorted(
            (start, end)
            for other, start, end in placed
            if other.first <= item.last and item.first <= other.last
        )
        at = 0
        for start, end in taken:
            if at + size <= start:
                break
            at = max(at, end)
        placed.append((item, at, at + size))
    total = max((end for _, _, end in placed), default=_ALIGNMENT)
    return {item.slot: start for item, start, _ in placed}, total
