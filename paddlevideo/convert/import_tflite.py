"""MoViNet's weights, and the options of its network, from a TensorFlow Lite model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from paddlevideo.convert.folded_network import Network
from paddlevideo.convert.imported import ImportedWeights
from paddlevideo.convert.movinet_folded import convolution, dense
from paddlevideo.convert.movinet_names import is_dense
from paddlevideo.convert.movinet_tflite import find_network
from paddlevideo.convert.tflite import Graph, read_model
from paddlevideo.convert.tflite.layers import Layer
from paddlevideo.utils.damage import damage_of

TFLITE = ".tflite"

WHAT = "a TensorFlow Lite model of a MoViNet stream"
_BLOCKS = "backbone.blocks."


def import_tflite(path: str | Path) -> ImportedWeights:
    """Read the one MoViNet stream of a ``.tflite`` file: int8, float16 or float32.

    Its batch norms are folded into the convolutions, so that those here have mean 0 and variance 1;
    see `paddlevideo.modeling.layers.restore_batch_norm` for what training from it needs. Integers
    are multiplied out: the result is the float32 network that the file was rounded to.

    Returns:
        The weights with the registered name of the model and the options that the file shows:
        ``num_classes``, ``se_type``, ``activation``, ``gating_activation`` (with gates) and
        ``classifier_activation``.

    Raises:
        WeightsError: missing, damaged, of another format, or not a MoViNet stream.
    """
    model = read_model(path)
    with damage_of(path, WHAT):
        network = find_network(Graph(model))
        options = network.options()
        arrays = dict(_arrays(network))
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("it has weights that are not finite")
    name = f"movinet_{network.variant.lower()}_stream"
    return ImportedWeights(str(path), arrays, model=name, options=options)


def _arrays(network: Network[Layer]) -> Iterator[tuple[str, np.ndarray]]:
    """Our names and layouts."""
    offsets = {f"{name}.attention.expand": gate.offset for name, gate in network.gates()}
    for name, layer in network.layers.items():
        block, _, part = name.rpartition(".")
        if is_dense(name):
            kernel, bias = layer.weights()
            yield from dense(name, kernel[:, :, 0, 0], bias - np.float32(offsets.get(name, 0.0)))
        elif part == "project" and block.startswith(_BLOCKS) and not block.endswith("shortcut"):
            kernel, bias, factor = layer.weights_and_factor()
            yield from convolution(name, kernel[:, :, None], bias)
            yield f"{block}.rezero.scale", np.array([factor], np.float32)
        else:
            kernel, bias = layer.weights()
            over_time = part == "temporal"  # the height of its kernel is the time
            yield from convolution(
                name, kernel[..., None] if over_time else kernel[:, :, None], bias
            )
