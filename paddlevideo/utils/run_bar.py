"""A progress bar over a whole run, whose time left is told to it."""

import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

from tqdm import tqdm

_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{left}{postfix}]"
_UNKNOWN = "?"


def clock(seconds: float) -> str:
    """``h:mm:ss``."""
    whole = max(0, int(seconds))
    return f"{whole // 3600:d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class RunBar(tqdm):
    """tqdm's bar with a time left that its user computes: steps and validations differ in cost.

    Args:
        total: of everything.
        done: of it before this process began.
        hidden: draw nothing.
    """

    def __init__(self, total: int, done: int = 0, hidden: bool = False) -> None:
        self.left = _UNKNOWN  # before tqdm draws for the first time
        super().__init__(
            total=total,
            initial=done,
            disable=hidden,
            bar_format=_FORMAT,
            dynamic_ncols=True,
            file=sys.stderr,
        )

    @property
    def format_dict(self) -> MutableMapping[str, Any]:
        """What tqdm fills into the format, with the time that is left."""
        return {**super().format_dict, "left": self.left}

    def tell(self, title: str, values: Mapping[str, float], seconds_left: float | None) -> None:
        """Change what is written beside the bar; it is drawn with the next update.

        Args:
            title: before it.
            values: behind it, by name.
            seconds_left: None: as it was.
        """
        if seconds_left is not None:
            self.left = clock(seconds_left)
        self.set_description_str(title, refresh=False)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.set_postfix_str(shown, refresh=False)
