"""MoViNet's weights, and the options of its network, from an exported bundle of ours."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from paddlevideo.convert.imported import ImportedWeights
from paddlevideo.convert.movinet_folded import convolution, dense
from paddlevideo.convert.movinet_program import Block, Network, NetworkFinder
from paddlevideo.convert.paddle_program import read_program
from paddlevideo.convert.program_layers import Layer
from paddlevideo.modeling.backbones.movinet.specs import SPECS
from paddlevideo.modeling.layers.padding import same_padding
from paddlevideo.runtime.bundle import Bundle, read_bundle
from paddlevideo.runtime.manifest import ClipProgram, StepProgram
from paddlevideo.utils.damage import damage_of
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.nodes import Node

WHAT = "a bundle of a MoViNet"
_PIXEL = 1.0 / 255.0
_FORMAT, _PROGRAM = "paddle", ".json"

Option = TypeVar("Option", str, bool)


def import_bundle(folder: str | Path) -> ImportedWeights:
    """Read the MoViNet of a bundle that `export_model` wrote, of one frame or of whole clips.

    Batch norm, rezero and the scaling of pixels are folded into its convolutions: the batch norms
    here have mean 0 and variance 1, and rezero is 1. See
    `paddlevideo.modeling.layers.restore_batch_norm` for what training from it needs.

    Returns:
        The weights with the registered name of the model, the options that the program shows, the
        names of the classes and the scaling of pixels.

    Raises:
        BundleError: no bundle, or one whose files are missing or altered.
        WeightsError: a quantised bundle, one of another network, or a damaged program.
    """
    bundle = read_bundle(folder)
    program_file, params_file, queues = _files(bundle)
    program = read_program(program_file, params_file)
    with damage_of(program_file, WHAT):
        finder = NetworkFinder(program, queues)
        network = finder.network()
        options = _Options(network, finder, bool(queues)).all()
        pixel = _PIXEL if bundle.manifest.programs[0].inputs[0].dtype == "uint8" else 1.0
        scaling = _scaling(network, finder, pixel)
        arrays = dict(_arrays(network, finder, pixel))
        if program.unused():
            raise ValueError(f"{len(program.unused())} of its parameters have no place")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("it has weights that are not finite")
    kind = "stream" if options["causal"] else "base"
    name = f"movinet_{network.variant.lower()}_{kind}"
    return ImportedWeights(
        str(folder),
        arrays,
        model=name,
        options=options,
        class_names=bundle.manifest.labels,
        scaling=scaling,
    )


def _files(bundle: Bundle) -> tuple[Path, Path, list[tuple[str, ...]]]:
    """The program to read, its weights, and the inputs of its states; of a stream's, one frame's.

    A clip of few frames may show only a part of the kernels over time.
    """
    folder = bundle.folder
    readable = [each for each in bundle.manifest.programs if _FORMAT in each.files]
    if not readable or any(each.precision == "int8" for each in readable):
        raise WeightsError(
            f"{folder} is quantised: its integers are not the weights that were trained; take the "
            "bundle that it was made of, or the weights file of the run"
        )
    if any(len(each.inputs) != 1 for each in readable if isinstance(each, ClipProgram)):
        raise WeightsError(f"{folder} is of several models together; take their weights files")
    chosen, queues = readable[0], []
    for each in readable:
        if isinstance(each, StepProgram):
            chosen, queues = each, [queue.inputs for queue in each.queues]
    program, params = chosen.files[_FORMAT]
    if Path(program).suffix != _PROGRAM:
        raise WeightsError(
            f"{folder / program} is no {_PROGRAM} program: it was exported by an older Paddle; "
            "take the weights file that it was exported from"
        )
    return folder / program, folder / params, queues


class _Options:
    """What the layers show of the options; all of them must show the same."""

    def __init__(self, network: Network, finder: NetworkFinder, is_step: bool) -> None:
        self._network, self._finder, self._is_step = network, finder, is_step
        self._blocks = [block for _, block in network.blocks]
        self._gates = [block.gate for block in self._blocks if block.gate is not None]

    def all(self) -> dict[str, object]:
        """The options of `create_model`."""
        network = self._network
        width, expected = network.dense.kernel_shape[0], SPECS[network.variant].hidden_channels
        if width != expected:
            raise ValueError(f"its head has {width} hidden values, not {expected}")
        kinds = {"none" if block.gate is None else block.gate.kind for block in self._blocks}
        options = {
            "num_classes": network.classifier.kernel_shape[0],
            "causal": self._causal(),
            "conv_type": _one("conv_type", self._conv_types()),
            "se_type": _one("se_type", kinds),
            "activation": _one("activation", {layer.activation.name for layer in self._main()}),
            "classifier_activation": network.dense.activation.name,
        }
        if self._gates:
            gates = {gate.activation.name for gate in self._gates}
            options["gating_activation"] = _one("gating_activation", gates)
            has_positions = {gate.positions is not None for gate in self._gates}
            options["use_positional_encoding"] = _one("use_positional_encoding", has_positions)
        padding = self._padding()
        return options if padding == "same" else {**options, "padding": padding}

    def _main(self) -> Iterator[Layer]:
        yield from (self._network.stem, self._network.project)
        yield from (gate.reduce for gate in self._gates)
        for block in self._blocks:
            yield from (block.expand, block.spatial)
            if block.temporal is not None:
                yield block.temporal

    def _conv_types(self) -> set[str]:
        return {
            "3d" if block.temporal is None else "2plus1d"
            for spec, block in self._network.blocks
            if spec.kernel[0] > 1
        }

    def _causal(self) -> bool:
        if self._is_step:
            return True
        frames = [
            self._finder.kernel_frames(block.temporal or block.spatial) for block in self._blocks
        ]
        seen = {not any(move > 0 for move, _ in kernel) for kernel in frames if len(kernel) > 1}
        means = {gate.sees_future for gate in self._gates} - {None}
        return bool(_one("causal", seen | {not future for future in means}))

    def _padding(self) -> str:
        """Which of the two rules all layers follow."""
        layers = [self._network.stem, *(block.spatial for block in self._blocks)]
        if all(layer.padding == _same(layer) for layer in layers):
            return "same"
        return "paddlevideo"


def _same(layer: Layer) -> list[int]:
    sizes = zip(layer.size, layer.kernel_shape[2:], strict=True)
    return [zeros for size, kernel in sizes for zeros in same_padding(size, kernel, layer.stride)]


def _one(option: str, found: set[Option]) -> Option:
    if len(found) != 1:
        raise ValueError(f"its layers differ in {option}: {', '.join(sorted(map(str, found)))}")
    return next(iter(found))


def _scaling(network: Network, finder: NetworkFinder, pixel: float) -> Node | None:
    """MODEL.scaling; None: the default. Its standard deviations are part of the stem here."""
    if network.offset is None:
        return None if pixel == _PIXEL else {"scale": 1.0}
    mean = -finder.program.array(network.offset).reshape(-1) * pixel
    return {"scale": pixel, "mean": [float(value) for value in mean]}


def _arrays(
    network: Network, finder: NetworkFinder, pixel: float
) -> Iterator[tuple[str, np.ndarray]]:
    """Our names and layouts."""
    kernel, bias = network.stem.arrays()
    yield from convolution("backbone.stem", kernel[:, :, None] / np.float32(pixel), bias)
    for spec, block in network.blocks:
        yield from _block(f"backbone.blocks.{spec.name}", block, finder)
    yield from _pointwise("backbone.project", network.project)
    yield from _dense("head.dense", network.dense)
    yield from _dense("head.classifier", network.classifier)


def _block(prefix: str, block: Block, finder: NetworkFinder) -> Iterator[tuple[str, np.ndarray]]:
    yield from _pointwise(f"{prefix}.expand", block.expand)
    yield from _feature(f"{prefix}.feature.spatial", block.spatial, finder)
    if block.temporal is not None:
        yield from _feature(f"{prefix}.feature.temporal", block.temporal, finder)
    factor = 1.0
    if block.gate is not None:
        yield from _dense(f"{prefix}.attention.reduce", block.gate.reduce)
        yield from _dense(f"{prefix}.attention.expand", block.gate.expand)
        factor = block.gate.activation.factor
        if block.gate.positions is not None:
            scale = np.array([block.gate.positions], np.float32)
            yield f"{prefix}.attention.positional_encoding.scale", scale
    yield from _pointwise(f"{prefix}.project", block.project, factor)
    yield f"{prefix}.rezero.scale", np.ones(1, np.float32)
    if block.shortcut is not None:
        yield from _pointwise(f"{prefix}.shortcut.project", block.shortcut)


def _pointwise(prefix: str, layer: Layer, factor: float = 1.0) -> Iterator[tuple[str, np.ndarray]]:
    """``factor``: what the kernel was multiplied by for the layer before it."""
    kernel, bias = layer.arrays()
    yield from convolution(prefix, kernel[:, :, None] / np.float32(factor), bias)


def _feature(prefix: str, layer: Layer, finder: NetworkFinder) -> Iterator[tuple[str, np.ndarray]]:
    frames = [finder.program.array(number) for _, number in finder.kernel_frames(layer)]
    yield from convolution(prefix, np.stack(frames, axis=2), layer.arrays()[1])


def _dense(prefix: str, layer: Layer) -> Iterator[tuple[str, np.ndarray]]:
    kernel, bias = layer.arrays()
    yield from dense(prefix, kernel[:, :, 0, 0], bias)
