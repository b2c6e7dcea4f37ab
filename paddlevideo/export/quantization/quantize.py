"""Quantise a bundle: its program on 8 bits, measured on the user's own videos."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from paddlevideo.export.onnx_weights import Storage
from paddlevideo.export.quantization.calibration import CalibrationVideos, Measured, measure
from paddlevideo.export.quantization.graph_layers import KINDS, Layer, find_layers
from paddlevideo.export.quantization.integer_graph import quantised_graph
from paddlevideo.export.quantization.ranges import Range, RangeMethod
from paddlevideo.export.quantization.rounded_states import STATE_KIND, State, find_states
from paddlevideo.export.quantization.sensitivity import Damage, Judge, choose_float, damage_of_each
from paddlevideo.export.quantization.step_graphs import load_graph
from paddlevideo.export.quantization.trained_ranges import find_roundings
from paddlevideo.export.quantization.write_quantized import check_formats, write_quantized
from paddlevideo.runtime.bundle import Bundle
from paddlevideo.utils.errors import BundleError, ConfigError, nearest_hint, no_effect
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.packages import require_packages

if TYPE_CHECKING:
    from onnx import ModelProto

logger = logging.getLogger(__name__)

Stored = Literal["int8", "int8 weights", "float16 weights"]
StateStored = Literal["uint8", "float32"]


@dataclass(frozen=True)
class QuantizeOptions:
    """How to quantise.

    Attributes:
        num_videos: to measure ranges on.
        weights_only: store weights as int8 and compute in float32.
        keep_float: layers and states to leave in float: their names, or kinds of them.
        max_error: of the logits, in their standard deviations; as many of the worst layers and
            states are kept in float as that takes.
        range_method: see `Histogram.range`.
        search_videos: to compare graphs on.
        formats: to write the program in, beside ONNX.
    """

    num_videos: int = 100
    weights_only: bool = False
    keep_float: tuple[str, ...] = ()
    max_error: float = 0.05
    range_method: RangeMethod = "minmax"
    search_videos: int = 16
    formats: tuple[str, ...] = ("onnx",)

    def __post_init__(self) -> None:
        numbers = {"num_videos": self.num_videos, "search_videos": self.search_videos}
        for name, number in numbers.items():
            if number < 1:
                raise ConfigError(f"{name} is {number}, expected at least 1")
        if not self.max_error > 0:
            raise ConfigError(f"max_error is {self.max_error}, expected a number above 0")


@dataclass(frozen=True)
class LayerChoice:
    """What became of a layer.

    Attributes:
        damage: the error of the logits when it alone is quantised; None where it was in float
            from the start: a tap, or one that the user has named.
        stored: ``int8``: integer arithmetic; ``int8 weights``, ``float16 weights``: float
            arithmetic with weights stored so.
    """

    layer: Layer
    damage: float | None
    stored: Stored


@dataclass(frozen=True)
class StateChoice:
    """What became of the frames that a stream keeps of one map.

    Attributes:
        damage: the error of the logits when it alone is rounded; None where the user kept it.
        stored: ``uint8``: on 256 steps; the tensors are float32 in either case.
    """

    state: State
    damage: float | None
    stored: StateStored


@dataclass(frozen=True)
class Quantized:
    """A quantised bundle, and how it came about.

    Attributes:
        states: none of a program of clips, and none where weights alone are quantised.
    """

    bundle: Bundle
    layers: tuple[LayerChoice, ...]
    states: tuple[StateChoice, ...]
    damage: Damage
    num_videos: int
    num_unreadable: int


def quantize_bundle(
    bundle: Bundle, videos: Sequence[Path], output: Path, options: QuantizeOptions
) -> Quantized:
    """Write a bundle of the quantised step program alone; clips go through it frame by frame.

    Of a bundle that has no step program, it is the program of clips.

    Args:
        bundle: of float32, with its program as ONNX.
        videos: to measure on; not those that the result is judged by.
        output: folder of the new bundle.

    Raises:
        BundleError: the bundle cannot be quantised, or ``output`` cannot be written.
        ConfigError: ``keep_float`` names no layer and no state, or one that is float in any case;
            there is no such format.
        DataError: no video can be read.
        DeviceError: a package or a converter is missing.
    """
    require_packages("quantising", "onnx", "onnxruntime")
    check_formats(options.formats, of_clips=bundle.manifest.step is None)
    if output.resolve() == bundle.folder.resolve():
        raise ConfigError(f"--output_dir {output} is the bundle to be quantised; name another")
    model = _untrained_graph(bundle)
    layers = find_layers(model)
    states = find_states(model.graph, bundle.manifest.step)
    kept = _named(layers, states, options)
    taken = CalibrationVideos(bundle, videos, options.num_videos)
    integer = [item for item in layers if item.can_be_integer and item.name not in kept]
    if options.weights_only:
        integer, states = [], []
    rounded = [item for item in states if item.name not in kept]
    judge = Judge(bundle, model, np.stack(list(taken.clips(options.search_videos))))
    measured = Measured({}, 0, 0)
    if integer or rounded:
        measured = measure(bundle, model, integer, taken, rounded)
    ranges = measured.ranges(options.range_method)
    plan = _Plan(model, layers, states, frozenset(item.name for item in integer), ranges)
    candidates = [item.name for item in layers if item.is_worth_it and item.name not in kept]
    candidates += [item.name for item in rounded]
    damages = damage_of_each(judge, candidates, plan.build)
    floats, damage = choose_float(judge, damages, plan.build, options.max_error)
    floats |= plan.names - set(candidates)
    graph = plan.build(plan.names - floats, "float16")
    choices, state_choices = (
        plan.layer_choices(floats, damages),
        plan.state_choices(floats, damages),
    )
    facts = _facts(choices, state_choices, damage, measured, options)
    made = write_quantized(bundle, graph, output, facts, options.formats)
    num_read = len(taken.paths) - len(taken.unreadable)
    return Quantized(made, choices, state_choices, damage, num_read, len(taken.unreadable))


def _untrained_graph(bundle: Bundle) -> "ModelProto":
    model = load_graph(bundle)
    if find_roundings(model):
        raise BundleError(
            f"{bundle.folder} was trained for 8 bits and has its ranges already: export it with "
            "--precision int8"
        )
    return model


@dataclass(frozen=True)
class _Plan:
    """A program, and which of its layers are computed with integers where they are quantised."""

    model: "ModelProto"
    layers: Sequence[Layer]
    states: Sequence[State]
    integer: frozenset[str]
    ranges: Mapping[str, Range]

    @property
    def names(self) -> frozenset[str]:
        layers = {item.name for item in self.layers}
        return frozenset(layers | {item.name for item in self.states})

    def build(self, quantised: Collection[str], others: Storage) -> "ModelProto":
        """The program with these layers and states quantised, and other weights stored so."""
        stored: dict[str, Storage] = {
            item.name: "int8" if item.name in quantised else others for item in self.layers
        }
        integer = self.integer & set(quantised)
        states = [item for item in self.states if item.name in quantised]
        return quantised_graph(self.model, self.layers, integer, self.ranges, stored, states)

    def layer_choices(
        self, floats: Collection[str], damages: Mapping[str, float]
    ) -> tuple[LayerChoice, ...]:
        """What becomes of each layer."""
        return tuple(
            LayerChoice(item, damages.get(item.name), self._stored(item.name, floats))
            for item in self.layers
        )

    def state_choices(
        self, floats: Collection[str], damages: Mapping[str, float]
    ) -> tuple[StateChoice, ...]:
        """What becomes of each state."""
        return tuple(
            StateChoice(item, damages.get(item.name), "float32" if item.name in floats else "uint8")
            for item in self.states
        )

    def _stored(self, name: str, floats: Collection[str]) -> Stored:
        if name in floats:
            return "float16 weights"
        return "int8" if name in self.integer else "int8 weights"


def _named(layers: Sequence[Layer], states: Sequence[State], options: QuantizeOptions) -> set[str]:
    """The layers and states that are to stay in float."""
    given = options.keep_float
    kinds = (*KINDS, STATE_KIND) if states else KINDS
    of_states = {item.name for item in states} | ({STATE_KIND} if states else set())
    known = {item.name for item in layers} | set(KINDS) | of_states
    for name in given:
        if name not in known:
            hint = nearest_hint(name, [*kinds, *(item.name for item in states)])
            raise ConfigError(
                f"--keep_float {name}: no layer, no state and no kind of them; layers are conv000 "
                f"to {layers[-1].name}, kinds and states: {hint}"
            )
        if name in of_states and options.weights_only:
            raise no_effect(f"keep_float {name}", "integer arithmetic, without --weights_only")
    kept = {item.name for item in layers if item.name in given or item.kind in given}
    return kept | {item.name for item in states if item.name in given or STATE_KIND in given}


def _facts(
    choices: Sequence[LayerChoice],
    states: Sequence[StateChoice],
    damage: Damage,
    measured: Measured,
    options: QuantizeOptions,
) -> Node:
    """What ``inference.yml`` says of it."""
    return {
        "arithmetic": "float32" if options.weights_only else "int8",
        "calibration_videos": measured.num_videos,
        "calibration_frames": measured.num_frames,
        "range_method": options.range_method,
        "error": round(damage.error, 5),
        "float16_layers": [c.layer.name for c in choices if c.stored == "float16 weights"],
        "uint8_states": [c.state.name for c in states if c.stored == "uint8"],
    }
