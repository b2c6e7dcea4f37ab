"""A trained model written as a bundle: programs, precision, quantization, proof."""

from paddlevideo.export.export import ExportOptions, export_clip_model, export_model

__all__ = ["ExportOptions", "export_clip_model", "export_model"]
