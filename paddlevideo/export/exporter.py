"""The interface of a format that models are exported in, and the registry of formats."""

import logging
from abc import ABC, abstractmethod
from pathlib import Path

from paddlevideo.export.traced_program import TracedProgram
from paddlevideo.utils.errors import DeviceError
from paddlevideo.utils.registry import Registry

logger = logging.getLogger(__name__)


class Exporter(ABC):
    """Writes programs in one format; registered under the name that the manifest lists it by."""

    def check(self) -> None:  # noqa: B027 - most formats need nothing
        """Raise `DeviceError` where a package that writes the format is missing."""

    @abstractmethod
    def write(self, program: TracedProgram, folder: Path) -> list[str]:
        """Write one program into ``folder``, its weights in ``program.spec.precision``.

        Returns:
            The names of the files, in the order in which an engine is given them; none where the
            format is not for programs of this kind.

        Raises:
            BundleError: the format cannot hold the program.
        """


EXPORTERS: Registry[Exporter] = Registry("format", Exporter)


def usable_formats(*names: str) -> tuple[str, ...]:
    """Those of the formats whose packages are installed; what is missing is in the log."""
    usable = []
    for name in names:
        try:
            exporter(name).check()
            usable.append(name)
        except DeviceError as error:
            logger.warning("no %s file is written: %s", name.upper(), error)
    return tuple(usable)


def exporter(name: str) -> Exporter:
    """The exporter of a format; `ConfigError` with the nearest name for one that is unknown."""
    return EXPORTERS.get(name, "--format")()
