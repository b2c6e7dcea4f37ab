"""A trained model written as a bundle: programs, precision, quantization, proof.

May import every package but ``convert``, ``apps`` and ``cli``. Begin reading in `write_bundle`.
"""

import paddlevideo.export.formats  # noqa: F401 - registers them
from paddlevideo.export.exporter import EXPORTERS, Exporter, usable_formats
from paddlevideo.export.traced_program import TracedProgram
from paddlevideo.export.write_bundle import ExportOptions, export_clip_model, export_model

__all__ = [
    "EXPORTERS",
    "ExportOptions",
    "Exporter",
    "TracedProgram",
    "export_clip_model",
    "export_model",
    "usable_formats",
]
