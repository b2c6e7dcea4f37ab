"""The errors a user can cause. An entry point turns each into one message and a non-zero exit.

Every message says what was wrong, where (YAML path, file and line, tensor name) and what to do.
Anything that is not a :class:`PaddleVideoError` is a defect of ours and keeps its traceback.
"""

import difflib
import reprlib
from collections.abc import Iterable

_SHOWN = 100  # characters of a value from a file in a message


class PaddleVideoError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(PaddleVideoError):
    """A configuration file or ``-o`` option is wrong. The message names the YAML path."""


class DataError(PaddleVideoError):
    """A data set, list file or video cannot be used. The message names the file."""


class WeightsError(PaddleVideoError):
    """A weights file or checkpoint cannot be read or does not fit the model."""


class DownloadError(PaddleVideoError):
    """A released file cannot be fetched, or what came is not that file."""


class BundleError(PaddleVideoError):
    """An exported bundle is incomplete, altered, or not usable here."""


class NonFiniteError(PaddleVideoError):
    """A training or a test gives numbers that are no numbers: infinity or NaN."""


class SaveError(PaddleVideoError):
    """Files of a run cannot be written: the disk is full, or writing is not permitted."""


class DeviceError(PaddleVideoError):
    """A requested device, precision, launch or package is not available on this machine."""


class ArgumentError(ValueError):
    """An argument of a component cannot be; the text names it.

    What builds the component from a file (`Registry.build`) makes a `ConfigError` of it, with the
    YAML path. Any other `ValueError` is a defect and keeps its traceback.
    """


def no_effect(option: str, belongs_to: str) -> ConfigError:
    """The error for an option that would do nothing beside the others."""
    return ConfigError(f"--{option} has no effect here: it belongs to {belongs_to}; leave one out")


def shown(value: object) -> str:
    """``repr`` of a value from a file, cut for a message; nothing large is written out."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = _SHOWN
    text = short.repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def nearest_hint(bad: str, good: Iterable[str]) -> str:
    """Return ``'did you mean "x"? '`` and the list of good names, for the end of a message."""
    names = sorted(good)
    close = difflib.get_close_matches(
        bad[:_SHOWN].lower(), [n.lower() for n in names], n=1, cutoff=0.6
    )
    by_lower = {n.lower(): n for n in names}
    hint = f'did you mean "{by_lower[close[0]]}"? ' if close else ""
    return f"{hint}known: {', '.join(names) if names else '(none)'}"
