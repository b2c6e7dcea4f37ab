"""`write_sheets`: contact sheets as PNG files of a folder, or as one page."""

import base64
import io
from collections.abc import Iterable
from pathlib import Path

from paddlevideo.apps.browse.sheets import Sheet
from paddlevideo.utils.errors import DataError
from paddlevideo.utils.files import atomic_write


def write_sheets(sheets: Iterable[Sheet], output: Path) -> list[Path]:
    """Write them; return the files.

    Args:
        output: a page (``.html``), or a folder for a PNG file each.

    Raises:
        DataError: it cannot be written.
    """
    try:
        if output.suffix.lower() in (".html", ".htm"):
            return [_page(sheets, output)]
        output.mkdir(parents=True, exist_ok=True)
        return [_png(sheet, output / f"{sheet.name}.png") for sheet in sheets]
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error.strerror}; name another") from None


def _png(sheet: Sheet, path: Path) -> Path:
    with atomic_write(path) as file:
        file.write(_bytes(sheet))
    return path


def _page(sheets: Iterable[Sheet], path: Path) -> Path:
    from paddlevideo.apps.reports.page import write_page

    shown = [
        {
            "title": sheet.title,
            "address": f"data:image/png;base64,{base64.b64encode(_bytes(sheet)).decode()}",
        }
        for sheet in sheets
    ]
    write_page(path, "browse.html", {"title": "What the model sees", "sheets": shown})
    return path


def _bytes(sheet: Sheet) -> bytes:
    file = io.BytesIO()
    sheet.image.save(file, "PNG")
    return file.getvalue()
