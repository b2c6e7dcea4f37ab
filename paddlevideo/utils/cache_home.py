"""The folder of what is kept between runs and can be made again."""

import os
from pathlib import Path

HOME_VARIABLE = "PADDLEVIDEO_HOME"


def home() -> Path:
    """The folder of the cache: ``PADDLEVIDEO_HOME``, else one in the user's cache folder."""
    stated = os.environ.get(HOME_VARIABLE)
    if stated:
        return Path(stated).expanduser()
    import pooch

    return Path(pooch.os_cache("paddlevideo"))
