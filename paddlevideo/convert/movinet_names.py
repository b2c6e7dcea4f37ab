"""All names that the weights of a MoViNet can have here, and what a set of them says about it.

The importers name what they read by this grammar before any model is looked at, so that a file of
another network is reported as what it is.
"""

from collections.abc import Mapping, Sequence

from paddlevideo.modeling.backbones.movinet.specs import SPECS
from paddlevideo.utils.errors import WeightsError

_CONV_BLOCK = ("conv.weight", "bn.weight", "bn.bias", "bn._mean", "bn._variance")
_DENSE = ("weight", "bias")
_BLOCK = [
    *(
        f"{part}.{kind}"
        for part in ("expand", "feature.spatial", "feature.temporal", "project", "shortcut.project")
        for kind in _CONV_BLOCK
    ),
    *(f"attention.{part}.{kind}" for part in ("reduce", "expand") for kind in _DENSE),
    "attention.positional_encoding.scale",
    "rezero.scale",
]


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


def names_of(blocks: Sequence[str]) -> list[str]:
    """Return every name that the weights of a network with these layers can have."""
    return [
        *(f"backbone.stem.{kind}" for kind in _CONV_BLOCK),
        *(f"backbone.blocks.{block}.{name}" for block in blocks for name in _BLOCK),
        *(f"backbone.project.{kind}" for kind in _CONV_BLOCK),
        *(f"head.{part}.{kind}" for part in ("dense", "classifier") for kind in _DENSE),
    ]


def is_dense_kernel(name: str) -> bool:
    """Whether a weight is that of a dense layer here, [in, out]; elsewhere it is a 1x1 kernel."""
    part, _, kind = name.rpartition(".")
    dense = ("head.dense", "head.classifier", ".attention.reduce", ".attention.expand")
    return kind == "weight" and part.endswith(dense)


def describe(shapes: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """Return what tells one MoViNet from another, as far as names and shapes of weights show it."""
    blocks = {name.split(".")[2] for name in shapes if name.startswith("backbone.blocks.")}
    variants = [
        name for name, spec in SPECS.items() if blocks == {layer.name for layer in spec.layers()}
    ]
    temporal = any(".feature.temporal." in name for name in shapes)
    classes = shapes.get("head.classifier.bias")
    return {
        "variant": variants[0] if variants else f"{len(blocks)} layers",
        "convolutions": "(2+1)D" if temporal else "3d",
        "squeeze-excitation": _attention(shapes),
        "positional encoding": _yes(any("positional_encoding" in name for name in shapes)),
        "classes": str(classes[0]) if classes else "no classifier",
    }


def _attention(shapes: Mapping[str, Sequence[int]]) -> str:
    """``3d`` and ``2d`` have equal weights."""
    for name, shape in shapes.items():
        if name.endswith(".attention.reduce.weight"):
            expanded = shapes.get(name.replace(".reduce.weight", ".expand.bias"))
            return "2plus3d" if expanded and shape[0] == 2 * expanded[0] else "3d or 2d"
    return "none"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
