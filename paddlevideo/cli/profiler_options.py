"""PaddleVideo's ``-p``/``--profiler_options``: ``key=value;key=value``, read as ours."""

import re
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.utils.errors import ConfigError, nearest_hint, shown

_RANGE = re.compile(r"\[\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\]")
_KNOWN = ("batch_range", "state", "sorted_key", "tracer_option", "profile_path", "exit_on_finished")
# What Paddle's profiler does today, whatever is asked for: another value is refused.
_ONLY = {"state": "All", "sorted_key": "total", "tracer_option": "Default"}


@dataclass(frozen=True)
class ProfilerOptions:
    """Which batches are profiled.

    Attributes:
        first: batches before them.
        steps: how many.
        path: of the trace; None: in the run's folder.
        ends_training: whether training ends then.
    """

    first: int
    steps: int
    path: Path | None
    ends_training: bool


def read_profiler_options(text: str) -> ProfilerOptions:
    """Read PaddleVideo's option, with its defaults.

    Raises:
        ConfigError: an unknown key, or a value that is not served.
    """
    given: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        key, separator, value = (part.strip() for part in item.partition("="))
        if not separator or key not in _KNOWN:
            raise _error(f"{shown(item)} is no option; {nearest_hint(key, _KNOWN)}")
        given[key] = value
    for key, only in _ONLY.items():
        if given.get(key, only).lower() != only.lower():
            raise _error(f"{key}={shown(given[key])} is not served, only {only}; leave it out")
    found = _RANGE.fullmatch(given.get("batch_range", "[10, 20]"))
    first, end = (int(found[1]), int(found[2])) if found else (0, 0)
    if end <= first:
        raise _error(f"batch_range is {shown(given['batch_range'])}, expected such as [10, 20]")
    ends = given.get("exit_on_finished", "True").lower()
    if ends not in ("true", "false"):
        raise _error(f"exit_on_finished is {shown(ends)}, expected True or False")
    path = Path(given["profile_path"]) if "profile_path" in given else None
    return ProfilerOptions(first, end - first, path, ends == "true")


def _error(problem: str) -> ConfigError:
    return ConfigError(f"--profiler_options: {problem}; --profile N says the same more shortly")
