"""`require_descriptors`: the open files that the system lets a process have."""

import sys

from paddlevideo.utils.errors import ConfigError

_OTHERS = 256  # connections that are being refused, uploads, the model, processes for videos


def require_descriptors(max_connections: int) -> None:
    """See to it that every connection can have an open file, as far as the system lets us.

    Where they run out a server can accept nobody, and its own files cannot be opened.

    Raises:
        ConfigError: the system's limit is too low.
    """
    if sys.platform == "win32":  # sockets are not counted there
        return
    import resource

    needed = max_connections + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"--max_connections {max_connections} needs {needed} open files, but a process may "
            f"have {hard} here (ulimit -Hn); raise that limit, or take at most "
            f"--max_connections {max(1, hard - _OTHERS)}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
