"""Unpickling that can call nothing but what the reader admits.

`pickle.load` runs whatever a file names. Here every name is looked up in a table of the reader's
and any other is refused before it is called, so a hostile file cannot run anything.
"""

import pickle
from collections.abc import Callable, Mapping
from typing import IO, Any


class RefusedNameError(Exception):
    """The pickle names something that the reader does not admit."""


class AdmittedFunction:
    """What a file may call; unlike a plain function, the file cannot alter it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _state: Any) -> None:
        raise pickle.UnpicklingError("a function has no state")


def load_admitted(
    file: IO[bytes],
    admitted: Mapping[tuple[str, str], Any],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """Return the content of a pickle.

    Args:
        admitted: ``{(module, name): what stands for it}``.
        persistent: what an object kept outside the pickle is, by its id; None: there are none.

    Raises:
        RefusedNameError: the pickle names anything else.
        Exception: almost any, if it is damaged.
    """
    return _AdmittingUnpickler(file, admitted, persistent).load()


class _AdmittingUnpickler(pickle.Unpickler):
    def __init__(
        self,
        file: IO[bytes],
        admitted: Mapping[tuple[str, str], Any],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        super().__init__(file)
        self._admitted = admitted
        self._persistent = persistent

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._admitted[module, name]
        except KeyError:
            raise RefusedNameError(f"{module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        if self._persistent is None:
            raise pickle.UnpicklingError("an object is kept outside the file")
        return self._persistent(pid)
