"""One line of progress over a whole fit, with the time that is left."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


class Stages:
    """The stages of a fit, each with the seconds that it is thought to take.

    Args:
        seconds: by stage, in order.
        is_shown: whether a bar is drawn; messages are given to ``say`` either way.
        say: takes a line for people.
    """

    def __init__(
        self, seconds: dict[str, float], say: Callable[[str], None], is_shown: bool
    ) -> None:
        self._seconds = dict(seconds)
        self._say = say
        self._stage = next(iter(seconds))
        self._share = 0.0
        self._done: set[str] = set()
        self._begun = time.monotonic()
        self._bar = tqdm(
            total=1.0,
            disable=not is_shown,
            bar_format="{desc}  {percentage:3.0f}% |{bar}|{postfix}",
            leave=False,
            dynamic_ncols=True,
        )

    def say(self, text: str) -> None:
        """Write a line above the bar."""
        self._bar.clear()
        self._say(text)
        self._bar.refresh()

    def expect(self, stage: str, seconds: float) -> None:
        """Correct how long a stage is thought to take."""
        self._seconds[stage] = max(seconds, 0.1)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float], None]]:
        """Enter a stage; the function that is given takes the share of it that is done."""
        self._stage, self._share = name, 0.0
        self._draw()
        yield self._set_share
        self._done.add(name)
        self._share = 0.0
        self._draw()

    def note(self, text: str) -> None:
        """Say what the stage at hand is about."""
        self._bar.set_description_str(f"{self._stage}: {text}", refresh=False)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    @property
    def seconds_spent(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._begun

    @property
    def seconds_left(self) -> float:
        """By what the stages are thought to take."""
        left = sum(s for name, s in self._seconds.items() if name not in self._done)
        return left - self._share * self._seconds.get(self._stage, 0.0)

    def _set_share(self, share: float) -> None:
        self._share = min(max(share, 0.0), 1.0)
        self._draw()

    def _draw(self) -> None:
        total = sum(self._seconds.values())
        self._bar.n = max(0.0, min(1.0, 1.0 - self.seconds_left / total))
        minutes, seconds = divmod(int(self.seconds_left), 60)
        self._bar.set_description_str(self._stage, refresh=False)
        self._bar.set_postfix_str(f" about {minutes}:{seconds:02d} left", refresh=False)
        self._bar.refresh()
