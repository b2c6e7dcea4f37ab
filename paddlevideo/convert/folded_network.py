"""A folded MoViNet, found in another file: its layers by our names, and the options they show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from paddlevideo.modeling.backbones.movinet.specs import SPECS, LayerSpec

_STEM, _PROJECT = "backbone.stem", "backbone.project"
_DENSE, _CLASSIFIER = "head.dense", "head.classifier"
# Layers without the network's activation behind them.
_OTHER_ACTIVATIONS = (".project", "attention.expand", _DENSE, _CLASSIFIER)


class FoundLayer(Protocol):
    """A convolution or dense layer with all that is folded into it."""

    @property
    def channels(self) -> tuple[int, int]:
        """Of its input (of a group) and of its result."""

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Height and width."""

    @property
    def stride(self) -> tuple[int, int]:
        """Along height and width."""

    @property
    def activation(self) -> str:
        """Its name here; ``identity`` for none."""


Found = TypeVar("Found", bound=FoundLayer)
Option = TypeVar("Option", str, bool)


@dataclass(frozen=True)
class Gate(Generic[Found]):
    """A squeeze-excitation gate.

    Attributes:
        kind: ``2d``, ``3d`` or ``2plus3d``.
        activation: its last one.
        offset: what is in the bias of ``expand`` and belongs to the activation.
        factor: what the layer after the gate was multiplied by for the activation.
        positions: the factor of the positional encoding, or None.
        sees_future: whether a mean over time is that of the whole clip; None: it has none.
    """

    reduce: Found
    expand: Found
    kind: str
    activation: str
    offset: float = 0.0
    factor: float = 1.0
    positions: float | None = None
    sees_future: bool | None = None


@dataclass(frozen=True)
class Block(Generic[Found]):
    """One bottleneck; ``input`` is the value that it reads."""

    expand: Found
    spatial: Found
    temporal: Found | None
    gate: Gate[Found] | None
    project: Found
    shortcut: Found | None
    input: int

    def layers(self) -> dict[str, Found]:
        """Those with weights, by our names within a bottleneck."""
        layers = {
            "expand": self.expand,
            "feature.spatial": self.spatial,
            "feature.temporal": self.temporal,
            "attention.reduce": None if self.gate is None else self.gate.reduce,
            "attention.expand": None if self.gate is None else self.gate.expand,
            "project": self.project,
            "shortcut.project": self.shortcut,
        }
        return {name: layer for name, layer in layers.items() if layer is not None}

    def measures(self, frames: int) -> tuple[int, ...]:
        """Channels in, inside and out, kernel and stride; stride 0: of unequal ones."""
        rows, columns = self.spatial.stride
        kernel = (frames, *self.spatial.kernel_size)
        outer = self.project.channels[1]
        return (*self.expand.channels, outer, *kernel, rows if rows == columns else 0)


@dataclass(frozen=True)
class Network(Generic[Found]):
    """All layers of a MoViNet.

    Attributes:
        variant: A0 and so on.
        layers: those with weights, by our names, in the order of the forward pass.
        blocks: with our names of them and what the variant's table says of each.
    """

    variant: str
    layers: dict[str, Found]
    blocks: list[tuple[str, LayerSpec, Block[Found]]]

    def gates(self) -> Iterator[tuple[str, Gate[Found]]]:
        """The gates, each with the name of its bottleneck."""
        for name, _, block in self.blocks:
            if block.gate is not None:
                yield name, block.gate

    def options(self) -> dict[str, object]:
        """The options of `create_model` that layers and gates show.

        Raises:
            ValueError: they do not show the same, or the head is of another width.
        """
        head, hidden = self.layers[_DENSE], SPECS[self.variant].hidden_channels
        if head.channels[1] != hidden:
            raise ValueError(f"its head has {head.channels[1]} hidden values, not {hidden}")
        kinds = {"none" if block.gate is None else block.gate.kind for _, _, block in self.blocks}
        activations = {
            layer.activation
            for name, layer in self.layers.items()
            if name == _PROJECT or not name.endswith(_OTHER_ACTIVATIONS)
        }
        options = {
            "num_classes": self.layers[_CLASSIFIER].channels[1],
            "se_type": the_one("se_type", kinds),
            "activation": the_one("activation", activations),
            "classifier_activation": head.activation,
        }
        gating = {gate.activation for _, gate in self.gates()}
        if gating:
            options["gating_activation"] = the_one("gating_activation", gating)
        return options


def network_of(
    stem: Found,
    blocks: Sequence[Block[Found]],
    ends: tuple[Found, Found, Found],
    frames: Sequence[int],
    hint: str = "",
) -> Network[Found]:
    """The network that is made of these layers.

    Args:
        blocks: in the order of the forward pass.
        ends: the last convolution of the backbone and the dense layers of the head.
        frames: of the kernel over time of each block.
        hint: what else may be the reason where they are of no variant.

    Raises:
        ValueError: they are those of no variant's table.
    """
    found = [block.measures(count) for block, count in zip(blocks, frames, strict=True)]
    outer = (stem.channels[1], ends[0].channels[1])
    for variant, spec in SPECS.items():
        rows = list(spec.layers())
        if outer != (spec.stem_channels, spec.project_channels) or found != [
            (row.in_channels, row.expand_channels, row.out_channels, *row.kernel, row.stride)
            for row in rows
        ]:
            continue
        named = [
            (f"backbone.blocks.{row.name}", row, block)
            for row, block in zip(rows, blocks, strict=True)
        ]
        inner = {
            f"{name}.{part}": layer
            for name, _, block in named
            for part, layer in block.layers().items()
        }
        last = dict(zip((_PROJECT, _DENSE, _CLASSIFIER), ends, strict=True))
        return Network(variant, {_STEM: stem, **inner, **last}, named)
    raise ValueError(
        f"its {len(blocks)} bottlenecks are those of no MoViNet{hint} ({', '.join(SPECS)}); the "
        f"first is {found[0] if found else 'missing'} (channels in, inside and out, kernel, stride)"
    )


def the_one(option: str, found: set[Option]) -> Option:
    """What all layers show of an option; raise `ValueError` where they differ."""
    if len(found) != 1:
        raise ValueError(f"its layers differ in {option}: {', '.join(sorted(map(str, found)))}")
    return next(iter(found))
