"""`Finding`: one thing about one sample, and the kinds there are."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The value is the title of the table of such findings."""

    MISSING = "Missing"
    EMPTY = "Empty files (0 bytes)"
    NO_PICTURES = "Without pictures (sound only)"
    UNREADABLE = "Unreadable"
    TOO_DAMAGED = "Too damaged to be used"
    LABEL = "Labels outside the classes of the model"
    DOES_NOT_FIT = "Do not fit the pipeline"
    TWO_LABELS = "One video under two labels"
    DAMAGED = "Damaged, but usable"
    IDENTICAL_ACROSS = "Identical files in different splits"
    NEAR_ACROSS = "The same footage in different splits"
    IDENTICAL = "Identical files"
    NEAR = "The same footage"
    GOES_ON = "Goes on where another one ends"
    SHORT = "Shorter than the sampler needs"
    ODD = "Odd"

    @property
    def is_unusable(self) -> bool:
        """Whether a sample of which this is found cannot be used."""
        return self in UNUSABLE


UNUSABLE = (
    Kind.MISSING,
    Kind.EMPTY,
    Kind.NO_PICTURES,
    Kind.UNREADABLE,
    Kind.TOO_DAMAGED,
    Kind.LABEL,
    Kind.DOES_NOT_FIT,
)


@dataclass(frozen=True)
class Finding:
    """One thing about one sample.

    Attributes:
        kind: what.
        index: of the sample in its listing.
        text: what is found, without the sample's name.
        other: index of the other sample, of findings about two.
        share: of `Kind.DAMAGED` and `Kind.TOO_DAMAGED`: frames that are lost, from 0 to 1.
    """

    kind: Kind
    index: int
    text: str
    other: int | None = None
    share: float | None = None
