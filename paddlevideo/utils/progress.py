"""A progress bar on a terminal, plain lines elsewhere."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")

_SECONDS_BETWEEN_LINES = 20.0


def track(items: Iterable[Item], total: int, label: str, show: bool = True) -> Iterator[Item]:
    """Yield ``items`` and show how far they are.

    On a terminal: a bar. Elsewhere: a log line now and then, so that a log file stays readable.

    Args:
        total: number of items, for the bar.
        label: what is being done, for instance ``"test"``.
        show: False on ranks other than 0.
    """
    if not show:
        yield from items
    elif sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=label, leave=False, dynamic_ncols=True) as bar:
            for item in items:
                yield item
                bar.update(1)
    else:
        last = time.monotonic()
        for done, item in enumerate(items, start=1):
            yield item
            if time.monotonic() - last >= _SECONDS_BETWEEN_LINES and done < total:
                last = time.monotonic()
                logger.info("%s: %d of %d", label, done, total)
