"""All names that the weights of a MoViNet can have, here and in other implementations: one table.

The importers name what they read by it before any model is looked at, so that a file of another
network is reported as what it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from paddlevideo.modeling.backbones.movinet.specs import SPECS
from paddlevideo.utils.errors import WeightsError

# How TensorFlow's objects are called after `short_key`, and where the layers' numbers stand.
LAYER = "backbone/layer_with_weights-{}/"
CLASSIFIER = "model/layer_with_weights-1/"


@dataclass(frozen=True)
class _Part:
    """A layer with weights.

    Attributes:
        tensorflow: path of the object; ``suffix`` is that of its convolution and batch norm.
        pytorch: names in the PyTorch port of the pair of convolution and batch norm.
        is_dense: whether it is a dense layer here; elsewhere it is a 1x1 convolution.
    """

    ours: str
    tensorflow: str
    pytorch: tuple[str, ...]
    suffix: str = ""
    is_dense: bool = False


_STEM = _Part("backbone.stem", "_stem", ("conv1.conv_1",))
_BOTTLENECK = (
    _Part("expand", "_expansion", ("expand.conv_1",)),
    _Part("feature.spatial", "_feature", ("deep.conv_1",)),
    _Part("feature.temporal", "_feature", ("deep.conv_2",), suffix="_temporal"),
    _Part("attention.reduce", "_attention/_se_reduce", ("se.fc1.conv_1",), is_dense=True),
    _Part("attention.expand", "_attention/_se_expand", ("se.fc2.conv_1",), is_dense=True),
    _Part("project", "_projection", ("project.conv_1",)),
    # res.0 is the pooling, where there is one
    _Part("shortcut.project", "_skip/_projection", ("res.1.conv_1", "res.0.conv_1")),
)
_SCALARS = (
    ("rezero.scale", "_mobile_bottleneck/_rezero/scale", ("alpha",)),
    ("attention.positional_encoding.scale", "_attention/_pos_encoding/_rezero/scale", ()),
)
_PROJECT = _Part("backbone.project", "_project", ("conv7.conv_1",))
_HEAD = (
    _Part("head.dense", "_head", ("classifier.0.conv_1",), is_dense=True),
    _Part("head.classifier", "_classifier", ("classifier.3.conv_1",), is_dense=True),
)
# The weights of a convolution with batch norm, and of a dense layer, in the same three columns.
_CONVOLUTION = (
    ("conv.weight", "_conv{}/kernel", "conv3d.weight"),
    ("bn.weight", "_batch_norm{}/gamma", "norm.weight"),
    ("bn.bias", "_batch_norm{}/beta", "norm.bias"),
    ("bn._mean", "_batch_norm{}/moving_mean", "norm.running_mean"),
    ("bn._variance", "_batch_norm{}/moving_variance", "norm.running_var"),
)
_DENSE = (("weight", "_conv{}/kernel", "conv3d.weight"), ("bias", "_conv{}/bias", "conv3d.bias"))


@dataclass(frozen=True)
class WeightName:
    """One weight.

    Attributes:
        ours: its name in the recognizer's state dict.
        tensorflow: its checkpoint key in the form of `movinet_tensorflow.short_key`.
        pytorch: the names that it can have in the PyTorch port.
    """

    ours: str
    tensorflow: str
    pytorch: tuple[str, ...]


def names_of(blocks: Sequence[str]) -> dict[str, WeightName]:
    """Return every weight that a network can have by our name, in the order of its layers.

    Args:
        blocks: names of the bottleneck layers, ``block0_layer0`` and so on.
    """
    return {name.ours: name for name in _names(blocks)}


def _names(blocks: Sequence[str]) -> Iterator[WeightName]:
    yield from _of_part(_STEM, "", LAYER.format(0), "")
    for number, block in enumerate(blocks, start=1):
        here, layer = f"backbone.blocks.{block}.", LAYER.format(number)
        there = f"blocks.{block.replace('block', 'b').replace('layer', 'l')}."
        for part in _BOTTLENECK:
            yield from _of_part(part, here, layer, there)
        for ours, tensorflow, pytorch in _SCALARS:
            yield WeightName(
                here + ours, layer + tensorflow, tuple(there + name for name in pytorch)
            )
    yield from _of_part(_PROJECT, "", LAYER.format(len(blocks) + 1), "")
    for part in _HEAD:
        yield from _of_part(part, "", CLASSIFIER, "")


def _of_part(part: _Part, here: str, layer: str, there: str) -> Iterator[WeightName]:
    for ours, tensorflow, pytorch in _DENSE if part.is_dense else _CONVOLUTION:
        yield WeightName(
            f"{here}{part.ours}.{ours}",
            f"{layer}{part.tensorflow}/{tensorflow.format(part.suffix)}",
            tuple(f"{there}{name}.{pytorch}" for name in part.pytorch),
        )


_DENSE_PARTS = tuple(part.ours for part in (*_BOTTLENECK, *_HEAD) if part.is_dense)


def is_dense(part: str) -> bool:
    """Whether a layer of ours is dense: weights [in, out]; elsewhere it is a 1x1 convolution."""
    return part.endswith(_DENSE_PARTS)


def is_dense_kernel(name: str) -> bool:
    """Whether a weight of ours is that of a dense layer."""
    part, _, kind = name.rpartition(".")
    return kind == "weight" and is_dense(part)


def block_names(num_layers: int, source: str) -> list[str]:
    """Return ``block0_layer0`` ... of the one variant with this number of bottleneck layers.

    Raises:
        WeightsError: no variant has.
    """
    for spec in SPECS.values():
        names = [layer.name for layer in spec.layers()]
        if len(names) == num_layers:
            return names
    known = ", ".join(f"{name} {len(list(spec.layers()))}" for name, spec in SPECS.items())
    raise WeightsError(f"{source}: {num_layers} bottleneck layers fit no MoViNet ({known})")


def blocks_in(names: Iterable[str]) -> set[str]:
    """Return the names of the bottleneck layers that weights of ours belong to."""
    return {name.split(".")[2] for name in names if name.startswith("backbone.blocks.block")}


def describe(shapes: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Return what tells one MoViNet from another, as far as names and shapes of weights show it."""
    blocks = blocks_in(shapes)
    variants = [
        name for name, spec in SPECS.items() if blocks == {layer.name for layer in spec.layers()}
    ]
    temporal = any(".feature.temporal." in name for name in shapes)
    has_positions = any("positional_encoding" in name for name in shapes)
    classes = shapes.get("head.classifier.bias")
    return {
        "variant": variants[0] if variants else f"{len(blocks)} layers",
        "convolutions": "(2+1)D" if temporal else "3d",
        "squeeze-excitation": _attention(shapes),
        "positional encoding": "yes" if has_positions else "no",
        "classes": str(classes[0]) if classes else "no classifier",
    }


def _attention(shapes: Mapping[str, Sequence[int]]) -> str:
    """``3d`` and ``2d`` have equal weights."""
    for name, shape in shapes.items():
        if name.endswith(".attention.reduce.weight"):
            expanded = shapes.get(name.replace(".reduce.weight", ".expand.bias"))
            return "2plus3d" if expanded and shape[0] == 2 * expanded[0] else "3d or 2d"
    return "none"
