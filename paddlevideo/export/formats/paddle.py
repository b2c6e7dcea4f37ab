"""Paddle's own format: a program (``.json``) and its weights (``.pdiparams``)."""

import shutil
from pathlib import Path

from paddlevideo.export.exporter import EXPORTERS, Exporter
from paddlevideo.export.traced_program import TracedProgram


@EXPORTERS.register_as("paddle")
class PaddleExporter(Exporter):
    """The program as Paddle traces it."""

    def write(self, program: TracedProgram, folder: Path) -> list[str]:
        """Write ``NAME.json`` and ``NAME.pdiparams``."""
        files = program.paddle_files(half=program.spec.precision == "fp16")
        return [Path(shutil.copy(file, folder)).name for file in files]
