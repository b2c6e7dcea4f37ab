"""matplotlib's figures: without its global state, in fonts that have what is written.

matplotlib takes half a second to load and comes with an extra: it is loaded when a figure is drawn.
"""

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from paddlevideo.utils.text_font import font_file, plain, warn_of_missing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100
INK, FAINT = "#1e1e1e", "#696969"
_OWN_FONT = "DejaVu Sans"  # comes with matplotlib


class FigureText:
    """The looks of texts that come from elsewhere: names of classes and of files.

    matplotlib's own font has the letters of most alphabets; for what it lacks, such as Chinese,
    a font of the system follows it. Characters that neither has become question marks, with a
    warning.

    Args:
        texts: all that is to be written.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        from matplotlib import font_manager

        self._families = [_OWN_FONT]
        missing = _lacking(font_manager.findfont(_OWN_FONT), "".join(texts))
        path = font_file(missing) if missing else None
        if path is not None:
            font_manager.fontManager.addfont(path)
            self._families.append(font_manager.get_font(path).family_name)
            missing = _lacking(path, missing)
        self._plain = {ord(character): plain(character) for character in missing}
        if missing:
            warn_of_missing(missing)

    def legible(self, text: str, most: int) -> str:
        """``text`` in one line of at most ``most`` characters that a font here has."""
        text = " ".join(text.split()).translate(self._plain)
        return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"

    def style(self, pixels: float, colour: object = INK) -> dict[str, Any]:
        """Arguments of matplotlib's texts; a dollar sign is no formula."""
        return {
            "fontfamily": self._families,
            "fontsize": pixels * 72 / DPI,
            "color": colour,
            "parse_math": False,
        }


def _lacking(path: str, characters: str) -> str:
    """Those of the characters that the font of a file does not have, each once."""
    from matplotlib.font_manager import get_font

    font = get_font(path)
    return "".join(
        character
        for character in sorted(set(characters))
        if not character.isspace() and not font.get_char_index(ord(character))
    )


def png_of(figure: "Figure", bounds: str | None = None) -> bytes:
    """The figure as a PNG file.

    Args:
        bounds: ``"tight"``: cut to what is drawn, or enlarged to it.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, bbox_inches=bounds, metadata={"Software": None})
    return file.getvalue()
