"""``paddlevideo SUBCOMMAND ...``: finds the subcommand, parses its options, runs it.

A subcommand is a module of this package under its own name (a `Command`), and a line in `COMMANDS`.
The module is imported when it is asked for, and imports Paddle in ``run`` alone, so that help is
quick and there without Paddle. The files in ``tools/`` run the same modules.
"""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, cast

from paddlevideo import __version__
from paddlevideo.utils.errors import nearest_hint
from paddlevideo.utils.logging import setup_logging
from paddlevideo.utils.packages import require_packages
from paddlevideo.utils.user_errors import user_errors

# Name -> what it does, for the help; the order is that of the help.
COMMANDS: Mapping[str, str] = {
    "fit": "make a model of your own videos",
    "train": "train by a config",
    "test": "test weights by a config",
    "export": "write a trained model as a bundle, for prediction and streams",
    "predict": "classify videos with a model",
    "stream": "follow a camera, a file or a URL with a model",
    "warm-up": "compile the compiled engine for this processor ahead",
    "serve": "answer videos over HTTP and frames over WebSocket",
    "web": "write a page that runs a bundle in a browser, with a camera or a file",
    "quantize": "write a bundle with weights, and where it pays arithmetic, on 8 bits",
    "compare": "compare bundles of a model: size, time, accuracy, other answers",
    "report": "write the page about a run, or about several side by side",
    "prepare": "make the lists of a public data set, convert its videos",
    "shard": "write videos into tar shards, for training from a few large files",
    "plot": "draw the curves of a run, or of several together",
    "check-data": "check lists, folders or all samples of a config: damage, copies, odd files",
    "browse": "show what the model sees: contact sheets behind each step of the pipeline",
    "model-info": "say what models cost: parameters, multiply-adds, states, input",
    "convert": "make weights of other implementations ours",
    "download": "fetch released weights into the cache, or list them",
}

EXIT_USAGE = 2

# Set by `paddle.distributed.launch`: the number of this process among those that it starts.
_RANK = "PADDLE_TRAINER_ID"


class Command(Protocol):
    """A module of this package that runs a command.

    Attributes:
        PACKAGES: that it needs beside the base installation.
    """

    PACKAGES: tuple[str, ...]

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add its options."""
        ...

    def run(self, arguments: argparse.Namespace) -> None:
        """Do it."""
        ...


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (that of the process by default).

    Raises:
        SystemExit: as any command: 0 after help, 1 for an error of the user, 2 for wrong usage.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    name = parser.parse_args(given[:1]).command
    if name is None:
        parser.print_help(sys.stderr)
        raise SystemExit(EXIT_USAGE)
    if name not in COMMANDS:
        parser.error(f"no subcommand {name[:100]!r}; {nearest_hint(name, COMMANDS)}")
    module = importlib.import_module(f"paddlevideo.cli.{name.replace('-', '_')}")
    _run(cast(Command, module), f"paddlevideo {name}", module.__doc__, given[1:])


def run_tool(
    name: str, description: str | None = None, arguments: Sequence[str] | None = None
) -> None:
    """Run a module of this package as a script of its own: ``main.py`` and those in ``tools/``.

    Args:
        description: of the script, for its help; default: that of the module.
        arguments: default: those of the process.
    """
    module = importlib.import_module(f"paddlevideo.cli.{name}")
    _run(cast(Command, module), None, description or module.__doc__, arguments)


def _run(
    command: Command, name: str | None, description: str | None, given: Sequence[str] | None
) -> None:
    own = argparse.ArgumentParser(
        prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_arguments(own)
    parsed = own.parse_args(given)
    setup_logging(quiet=os.environ.get(_RANK, "0") != "0")
    with user_errors(), _closed_pipe():
        require_packages(own.prog, *command.PACKAGES)
        if "paddle" in command.PACKAGES:
            from paddlevideo.modeling.device import leave_signals_alone

            leave_signals_alone()
        command.run(parsed)
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
