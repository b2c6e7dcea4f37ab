"""Annotated types of arguments that have a range: what lies outside is refused with its YAML path.

The registry checks the arguments of a component, and the recipe its keys, by these annotations
before anything is built.
"""

from typing import Annotated

import pydantic

from paddlevideo.utils.errors import ConfigError, shown

_LONGEST_NAME_BYTES = 100  # a file system takes 255, and suffixes follow

# Sizes are bounded so that a slip of the keyboard does not ask for all memory of a machine.
ClassCount = Annotated[int, pydantic.Field(ge=2, le=100_000)]
LayerWidth = Annotated[int, pydantic.Field(ge=1, le=65_536)]
DropRate = Annotated[float, pydantic.Field(ge=0.0, lt=1.0)]
Share = Annotated[float, pydantic.Field(ge=0.0, le=1.0)]
WaitSeconds = Annotated[float, pydantic.Field(gt=0.0, le=1e6)]
BatchSize = Annotated[int, pydantic.Field(gt=0, le=65_536)]
WorkerCount = Annotated[int, pydantic.Field(ge=0, le=1024)]
ThreadCount = Annotated[int, pydantic.Field(ge=1, le=1024)]
Count = Annotated[int, pydantic.Field(gt=0, le=2**31 - 1)]
EpochNumber = Annotated[int, pydantic.Field(ge=0, le=2**31 - 1)]
# What Paddle's generator takes.
Seed = Annotated[int, pydantic.Field(ge=0, le=2**63 - 1)]


def _is_file_name(name: str) -> str:
    if name in ("", ".", "..") or any(char in name for char in "/\\\0"):
        raise ValueError("it is part of file names: no empty name, slash or dots alone")
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME_BYTES:
        raise ValueError(f"it is part of file names: at most {_LONGEST_NAME_BYTES} bytes")
    return name


def check_file_name(name: str, where: str) -> None:
    """Raise `ConfigError` if ``name`` cannot be part of file names."""
    try:
        _is_file_name(name)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}, got {shown(name)}") from None


FileName = Annotated[str, pydantic.AfterValidator(_is_file_name)]
