"""Step programs on 8 bits: measured on videos, layer by layer, written as a bundle of their own.

May import what ``export`` may. Begin reading in `quantize`.
"""

from paddlevideo.export.quantization.quantize import (
    LayerChoice,
    Quantized,
    QuantizeOptions,
    StateChoice,
    quantize_bundle,
)
from paddlevideo.export.quantization.trained import export_int8, quantize_trained

__all__ = [
    "LayerChoice",
    "QuantizeOptions",
    "Quantized",
    "StateChoice",
    "export_int8",
    "quantize_bundle",
    "quantize_trained",
]
