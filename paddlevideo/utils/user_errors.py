"""How a command ends on an error that its user can mend."""

import contextlib
import logging
import sys
from collections.abc import Iterator

from paddlevideo.utils.errors import PaddleVideoError

EXIT_USER_ERROR = 1
EXIT_INTERRUPTED = 130


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Turn an error that a user can mend into one message on stderr and exit code 1."""
    try:
        yield
    except PaddleVideoError as error:
        for handler in logging.getLogger("paddlevideo").handlers:
            handler.flush()
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(EXIT_USER_ERROR) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(EXIT_INTERRUPTED) from None
