"""Import the modules that a config names: what they register is there for the config's sections."""

import importlib
import sys
from pathlib import Path

from paddlevideo.utils.errors import ConfigError, shown

IMPORTS_KEY = "imports"


def import_modules(names: object) -> None:
    """Import modules by their dotted names, in order, from Python's path or the working folder.

    The working folder comes last, so that no file in it hides an installed package.

    Raises:
        ConfigError: this is no list of dotted names, or one of them cannot be imported.
    """
    if names is None:
        return
    if not isinstance(names, list) or not all(map(_is_dotted_name, names)):
        raise ConfigError(
            f"{IMPORTS_KEY}: expected a list of modules such as [my_package.my_model], got "
            f"{shown(names)}"
        )
    folder = str(Path.cwd())
    if names and folder not in sys.path:
        sys.path.append(folder)
    for number, name in enumerate(names):
        try:
            importlib.import_module(name)
        except (ImportError, SyntaxError) as error:
            raise ConfigError(
                f"{IMPORTS_KEY}[{number}]: {name} cannot be imported: {error}; modules are sought "
                f"on Python's path (PYTHONPATH adds to it) and in the working folder, {folder}"
            ) from error


def _is_dotted_name(name: object) -> bool:
    return isinstance(name, str) and all(part.isidentifier() for part in name.split("."))
