"""``paddlevideo SUBCOMMAND ...``: finds the subcommand, parses its options, runs it.

A subcommand is a module of this package under its own name with two functions,
``add_arguments(parser)`` and ``run(arguments)``, and a line in `COMMANDS`. The module is imported
when it is asked for, and imports Paddle in ``run`` alone, so that help is quick.
"""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from paddlevideo import __version__
from paddlevideo.utils.errors import nearest_hint
from paddlevideo.utils.logging import setup_logging
from paddlevideo.utils.user_errors import user_errors

# Name -> what it does, for the help; the order is that of the help.
COMMANDS: Mapping[str, str] = {
    "fit": "make a model of your own videos",
    "predict": "classify videos with a model",
    "stream": "follow a camera, a file or a URL with a model",
    "report": "write the page about a run, or about several side by side",
    "convert": "make weights of other implementations ours",
    "download": "fetch released weights into the cache, or list them",
}

EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (that of the process by default).

    Raises:
        SystemExit: as any command: 0 after help, 1 for an error of the user, 2 for wrong usage.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    chosen = parser.parse_args(given[:1])
    if chosen.command is None:
        parser.print_help(sys.stderr)
        raise SystemExit(EXIT_USAGE)
    if chosen.command not in COMMANDS:
        parser.error(
            f"no subcommand {chosen.command[:100]!r}; {nearest_hint(chosen.command, COMMANDS)}"
        )
    module = importlib.import_module(f"paddlevideo.cli.{chosen.command}")
    own = argparse.ArgumentParser(
        prog=f"paddlevideo {chosen.command}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(own)
    parsed = own.parse_args(given[1:])
    setup_logging()
    with user_errors(), _closed_pipe():
        module.run(parsed)
        sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:<12}{purpose}" for name, purpose in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="paddlevideo",
        usage="paddlevideo SUBCOMMAND ... (paddlevideo SUBCOMMAND --help says more)",
        description=f"Video recognition on PaddlePaddle.\n\nsubcommands:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", nargs="?", metavar="SUBCOMMAND", help="one of those above")
    parser.add_argument("--version", action="version", version=f"paddlevideo {__version__}")
    return parser


@contextlib.contextmanager
def _closed_pipe() -> Iterator[None]:
    """End quietly where the reader of stdout, such as ``head``, has seen enough."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
