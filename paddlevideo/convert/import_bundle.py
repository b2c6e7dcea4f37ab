"""MoViNet's weights, and the options of its network, from an exported bundle of ours."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from paddlevideo.convert.folded_network import Network, the_one
from paddlevideo.convert.imported import ImportedWeights
from paddlevideo.convert.movinet_folded import convolution, dense
from paddlevideo.convert.movinet_names import is_dense
from paddlevideo.convert.movinet_program import NetworkFinder
from paddlevideo.convert.paddle_program import read_program
from paddlevideo.convert.program_layers import Layer
from paddlevideo.modeling.layers.padding import same_padding
from paddlevideo.runtime.bundle import Bundle, read_bundle
from paddlevideo.runtime.manifest import ClipProgram, StepProgram
from paddlevideo.utils.damage import damage_of
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.nodes import Node

WHAT = "a bundle of a MoViNet (of another network take the weights file of its run)"
_STEM = "backbone.stem"
_PIXEL = 1.0 / 255.0
_FORMAT, _PROGRAM = "paddle", ".json"


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
        options = _options(network, finder, bool(queues))
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


def _options(network: Network[Layer], finder: NetworkFinder, is_step: bool) -> dict[str, object]:
    """What the layers show of the options of `create_model`; all of them must show the same."""
    conv_types = {
        "3d" if block.temporal is None else "2plus1d"
        for _, spec, block in network.blocks
        if spec.kernel[0] > 1
    }
    options = {
        **network.options(),
        "causal": is_step or _sees_only_past(network, finder),
        "conv_type": the_one("conv_type", conv_types),
    }
    has_positions = {gate.positions is not None for _, gate in network.gates()}
    if has_positions:
        option = "use_positional_encoding"
        options[option] = the_one(option, has_positions)
    layers = [network.layers[_STEM], *(block.spatial for _, _, block in network.blocks)]
    if any(layer.padding != _same_padding(layer) for layer in layers):
        options["padding"] = "paddlevideo"
    return options


def _sees_only_past(network: Network[Layer], finder: NetworkFinder) -> bool:
    kernels = [
        finder.kernel_frames(block.temporal or block.spatial) for _, _, block in network.blocks
    ]
    seen = {not any(move > 0 for move, _ in kernel) for kernel in kernels if len(kernel) > 1}
    means = {gate.sees_future for _, gate in network.gates()} - {None}
    return the_one("causal", seen | {not future for future in means})


def _same_padding(layer: Layer) -> list[int]:
    sizes = zip(layer.size, layer.kernel_size, layer.stride, strict=True)
    return [zeros for size, kernel, stride in sizes for zeros in same_padding(size, kernel, stride)]


def _scaling(network: Network[Layer], finder: NetworkFinder, pixel: float) -> Node | None:
    """MODEL.scaling; None: the default. Its standard deviations are part of the stem here."""
    offset = finder.offset(network.layers[_STEM].input)
    if offset is None:
        return None if pixel == _PIXEL else {"scale": 1.0}
    mean = -finder.program.array(offset).reshape(-1) * pixel
    return {"scale": pixel, "mean": [float(value) for value in mean]}


def _arrays(
    network: Network[Layer], finder: NetworkFinder, pixel: float
) -> Iterator[tuple[str, np.ndarray]]:
    """Our names and layouts."""
    # What kernels were multiplied by for the layer before them.
    factors = {f"{name}.project": gate.factor for name, gate in network.gates()}
    factors[_STEM] = pixel
    for name, layer in network.layers.items():
        kernel, bias = layer.arrays()
        if is_dense(name):
            yield from dense(name, kernel[:, :, 0, 0], bias)
        elif ".feature." in name:
            frames = [finder.program.array(number) for _, number in finder.kernel_frames(layer)]
            yield from convolution(name, np.stack(frames, axis=2), bias)
        else:
            factor = np.float32(factors.get(name, 1.0))
            yield from convolution(name, kernel[:, :, None] / factor, bias)
    for name, _, block in network.blocks:
        yield f"{name}.rezero.scale", np.ones(1, np.float32)
        if block.gate is not None and block.gate.positions is not None:
            scale = np.array([block.gate.positions], np.float32)
            yield f"{name}.attention.positional_encoding.scale", scale
