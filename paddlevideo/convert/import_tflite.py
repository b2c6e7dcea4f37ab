"""MoViNet's weights, and the options of its network, from a TensorFlow Lite model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from paddlevideo.convert.imported import ImportedWeights
from paddlevideo.convert.movinet_folded import convolution, dense
from paddlevideo.convert.movinet_tflite import Block, Network, find_network
from paddlevideo.convert.tflite import Graph, read_model
from paddlevideo.convert.tflite.layers import Layer
from paddlevideo.modeling.backbones.movinet.specs import SPECS
from paddlevideo.utils.damage import damage_of

TFLITE = ".tflite"

WHAT = "a TensorFlow Lite model of a MoViNet stream"


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
        options = _options(network)
        arrays = dict(_arrays(network))
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("it has weights that are not finite")
    name = f"movinet_{network.variant.lower()}_stream"
    return ImportedWeights(str(path), arrays, model=name, options=options)


def _options(network: Network) -> dict[str, Any]:
    options: dict[str, Any] = {"num_classes": network.classifier.channels[1]}
    for name, found in network.activations().items():
        if len(found) > 1:
            raise ValueError(f"its layers differ in {name}: {', '.join(found)}")
        if found:
            options[name] = found[0]
    hidden = SPECS[network.variant].hidden_channels
    if network.dense.channels[1] != hidden:
        raise ValueError(f"its head has {network.dense.channels[1]} hidden values, not {hidden}")
    return options


def _arrays(network: Network) -> Iterator[tuple[str, np.ndarray]]:
    """Our names and layouts."""
    yield from _convolution("backbone.stem", network.stem)
    for spec, block in network.blocks:
        yield from _block(f"backbone.blocks.{spec.name}", block)
    yield from _convolution("backbone.project", network.project)
    yield from _dense("head.dense", network.dense)
    yield from _dense("head.classifier", network.classifier)


def _block(prefix: str, block: Block) -> Iterator[tuple[str, np.ndarray]]:
    yield from _convolution(f"{prefix}.expand", block.expand)
    yield from _convolution(f"{prefix}.feature.spatial", block.spatial)
    if block.temporal is not None:
        yield from _convolution(f"{prefix}.feature.temporal", block.temporal, over_time=True)
    if block.gate is not None:
        yield from _dense(f"{prefix}.attention.reduce", block.gate.reduce)
        yield from _dense(f"{prefix}.attention.expand", block.gate.expand, block.gate.offset)
    kernel, bias, factor = block.project.weights_and_factor()
    yield from convolution(f"{prefix}.project", kernel[:, :, None], bias)
    yield f"{prefix}.rezero.scale", np.array([factor], np.float32)
    if block.shortcut is not None:
        yield from _convolution(f"{prefix}.shortcut.project", block.shortcut)


def _convolution(
    prefix: str, layer: Layer, over_time: bool = False
) -> Iterator[tuple[str, np.ndarray]]:
    """A kernel [C_out, C_in, T, H, W]; of a temporal layer the height is the time."""
    kernel, bias = layer.weights()
    yield from convolution(prefix, kernel[..., None] if over_time else kernel[:, :, None], bias)


def _dense(prefix: str, layer: Layer, offset: float = 0.0) -> Iterator[tuple[str, np.ndarray]]:
    """A dense layer, [in, out]; ``offset`` is no part of its bias."""
    kernel, bias = layer.weights()
    yield from dense(prefix, kernel[:, :, 0, 0], bias - np.float32(offset))
