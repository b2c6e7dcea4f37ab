"""Step programs on 8 bits: measured on videos, layer by layer, written as a bundle of their own.

May import what ``export`` may. Begin reading in `quantize`.
"""

from paddlevideo.export.quantization.quantize import (
    LayerChoice,
    Quantized,
    QuantizeOptions,
    quantize_bundle,
)

__all__ = ["LayerChoice", "QuantizeOptions", "Quantized", "quantize_bundle"]
