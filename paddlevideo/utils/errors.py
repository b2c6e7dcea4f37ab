"""The errors a user can cause. An entry point turns each into one message and a non-zero exit.

Every message says what was wrong, where (YAML path, file and line, tensor name) and what to do.
Anything that is not a :class:`PaddleVideoError` is a defect of ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable


class PaddleVideoError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(PaddleVideoError):
    """A configuration file or ``-o`` option is wrong. The message names the YAML path."""


class DataError(PaddleVideoError):
    """A data set, list file or video cannot be used. The message names the file."""


class WeightsError(PaddleVideoError):
    """A weights file or checkpoint cannot be read or does not fit the model."""


class BundleError(PaddleVideoError):
    """An exported bundle is incomplete, altered, or not usable here."""


class DeviceError(PaddleVideoError):
    """The requested device, precision or launch is not available on this machine."""


def nearest_hint(bad: str, good: Iterable[str]) -> str:
    """Return ``'did you mean "x"? '`` and the list of good names, for the end of a message."""
    names = sorted(good)
    close = difflib.get_close_matches(bad.lower(), [n.lower() for n in names], n=1, cutoff=0.6)
    by_lower = {n.lower(): n for n in names}
    hint = f'did you mean "{by_lower[close[0]]}"? ' if close else ""
    return f"{hint}known: {', '.join(names) if names else '(none)'}"
