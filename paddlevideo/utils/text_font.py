"""A font that has the characters of the texts that are drawn in it."""

import io
import logging
import unicodedata
from functools import lru_cache

import numpy as np
from PIL import ImageFont

logger = logging.getLogger(__name__)

_ELLIPSIS = "…"
# Pillow's own font has the letters of English alone. Fonts of the system, by what they add.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "LiberationSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc", "msyh.ttc", "PingFang.ttc",
    "Arial Unicode.ttf",
)  # fmt: skip


class TextFont:
    """A font of one size that has the characters of some texts, as far as any font here does.

    Args:
        size: of the characters, pixels.
        texts: what is to be written in it.
    """

    def __init__(self, size: int, texts: tuple[str, ...] = ()) -> None:
        wanted = frozenset("".join(texts))
        self.size = size
        self._font = _font_for(size, wanted)
        if missing := _missing(self._font, wanted):
            warn_of_missing("".join(sorted(missing)))
        ascent, descent = self._font.getmetrics()
        self.line_height = ascent + descent

    @property
    def pillow(self) -> ImageFont.FreeTypeFont:
        """For Pillow's drawing."""
        return self._font

    def width(self, text: str) -> int:
        """Of ``text``, pixels."""
        return int(np.ceil(self._font.getlength(text)))

    def legible(self, text: str) -> str:
        """``text`` without characters that the font lacks: é becomes e; others a question mark."""
        return "".join(
            character if _has(self._font, character) else plain(character) for character in text
        )

    def shortened(self, text: str, width: int) -> str:
        """``text`` or as much of it as fits into ``width`` pixels, with an ellipsis."""
        if self.width(text) <= width:
            return text
        fits, too_long = 0, len(text)
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if self.width(text[:middle].rstrip() + _ELLIPSIS) <= width:
                fits = middle
            else:
                too_long = middle
        return text[:fits].rstrip() + _ELLIPSIS


def font_file(characters: str) -> str | None:
    """The file of the system's font that has the most of the characters; None if none has any."""
    font = _font_for(16, frozenset(characters))
    return str(font.path) if font.path and not isinstance(font.path, io.BytesIO) else None


def warn_of_missing(characters: str) -> None:
    """Say which characters no font here has, and what is drawn for them."""
    logger.warning(
        "no font here has %s of the texts to draw: %s stands there instead; install a font that "
        "has them, for instance Noto Sans CJK for Chinese",
        characters[:20],
        "".join(map(plain, characters[:20])),
    )


def plain(character: str) -> str:
    """What stands for a character that no font has: its bare letter, or a question mark."""
    bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return bare or "?"


@lru_cache(maxsize=64)
def _font_for(size: int, wanted: frozenset[str]) -> ImageFont.FreeTypeFont:
    """Pillow's own font, or the one of the system that has the most of what that lacks."""
    best = _own_font(size)
    missing = _missing(best, wanted)
    for name in _SYSTEM_FONTS if missing else ():
        try:
            font = ImageFont.truetype(name, size)
        except OSError:
            continue
        lacks = _missing(font, wanted)
        if len(lacks) < len(missing):
            best, missing = font, lacks
        if not missing:
            break
    return best


def _own_font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


def _missing(font: ImageFont.FreeTypeFont, wanted: frozenset[str]) -> set[str]:
    return {character for character in wanted if not _has(font, character)}


def _has(font: ImageFont.FreeTypeFont, character: str) -> bool:
    """Whether the font draws the character as something else than its sign for a missing one."""
    if character.isspace():
        return True
    return bytes(font.getmask(character)) != bytes(font.getmask("\uffff"))
