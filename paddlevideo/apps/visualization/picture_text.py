"""Text and colours of the pictures that are drawn of a stream."""

from paddlevideo.runtime.class_scores import ClassScore
from paddlevideo.utils.text_font import TextFont

__all__ = ["PALETTE", "TextFont", "class_name"]

# Okabe and Ito, "Color Universal Design" (2008): told apart whatever one's colour vision. Their
# yellow and sky blue are too light for lines and text on white.
PALETTE = ((0, 114, 178), (213, 94, 0), (0, 138, 103), (190, 90, 150), (70, 70, 70))


def class_name(score: ClassScore) -> str:
    """The class's label, or its number where the bundle has no labels."""
    text = " ".join((score.label or "").split())
    return text or f"class {score.index}"
