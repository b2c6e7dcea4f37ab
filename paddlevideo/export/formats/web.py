"""A page that runs the step program in a browser: see `paddlevideo.export.web`."""

from pathlib import Path
from typing import ClassVar

from paddlevideo.export.exporter import EXPORTERS, Exporter
from paddlevideo.export.traced_program import TracedProgram
from paddlevideo.export.web import require_runtime, site_folder, write_site
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.utils.packages import require_packages


@EXPORTERS.register_as("web")
class WebExporter(Exporter):
    """A static folder, ``NAME_web``, beside the bundle's files; made of the ONNX step program."""

    made_from: ClassVar[tuple[str, ...]] = ("onnx",)

    def check(self) -> None:
        """Raise unless onnx is installed and onnxruntime-web is there or can be fetched.

        Raises:
            DeviceError, DownloadError: see `write_site`.
        """
        require_packages("--format web", "onnx", otherwise="leave it out")
        require_runtime()

    def write(self, program: TracedProgram, folder: Path) -> list[str]:
        """Write nothing: the page is of the bundle as a whole."""
        return []

    def finish(self, bundle: Bundle) -> str:
        """Write the folder ``NAME_web`` into that of the bundle."""
        folder = site_folder(bundle)
        write_site(bundle, folder)
        return folder.name
