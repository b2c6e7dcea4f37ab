"""The interface of a format that models are exported in, and the registry of formats."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from paddlevideo.export.traced_program import TracedProgram
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.utils.errors import DeviceError, DownloadError
from paddlevideo.utils.registry import Registry

logger = logging.getLogger(__name__)


class Exporter(ABC):
    """Writes programs in one format; registered under the name that the manifest lists it by.

    Attributes:
        made_from: formats that this one needs the files of; they are written first.
    """

    made_from: ClassVar[tuple[str, ...]] = ()

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

    def finish(self, bundle: Bundle) -> str | None:
        """Write what is of the bundle as a whole, once, behind its programs and its reference.

        Args:
            bundle: whose folder is a temporary one; its manifest is not on the disk yet.

        Returns:
            The name of a folder in that of the bundle, which is then put beside the bundle's
            files; None: nothing was written.
        """
        return None


EXPORTERS: Registry[Exporter] = Registry("format", Exporter)


def usable_formats(*names: str) -> tuple[str, ...]:
    """Those of the formats whose packages are installed; what is missing is in the log."""
    usable = []
    for name in names:
        try:
            exporter(name).check()
            usable.append(name)
        except (DeviceError, DownloadError) as error:
            logger.warning("no %s file is written: %s", name.upper(), error)
    return tuple(usable)


def exporter(name: str) -> Exporter:
    """The exporter of a format; `ConfigError` with the nearest name for one that is unknown."""
    return EXPORTERS.get(name, "--format")()


def with_their_sources(formats: Sequence[str]) -> dict[str, Exporter]:
    """The exporters of formats by name, behind those that they are made from."""
    exporters: dict[str, Exporter] = {}
    for name in formats:
        each = exporter(name)
        exporters |= {source: exporter(source) for source in each.made_from}
        exporters.setdefault(name, each)
    return exporters
