"""Quantise an exported model: weights, and where the device gains by it arithmetic, on 8 bits.

paddlevideo export -c CONFIG -p WEIGHTS -o inference/Mine --format paddle,onnx
paddlevideo quantize --model_dir inference/Mine --calibration data/mine/train --num_videos 100

The videos are of the kind that the model is to see, and not those that it is tested on: each runs
through the model, frame by frame where the bundle has a step program, its states handed on. A layer
that alone damages the logits too much stays in float; the table says which (docs/quantization.md).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.cli.output import say
from paddlevideo.utils.errors import no_effect
from paddlevideo.utils.packages import TRAINING

if TYPE_CHECKING:
    from paddlevideo.export.quantization import Quantized
    from paddlevideo.runtime.bundle import Bundle

PACKAGES = (*TRAINING, "onnx")

# Options whose defaults are those of `QuantizeOptions`, which imports Paddle.
_WITH_DEFAULTS = ("num_videos", "max_error", "range_method", "search_videos")


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name for name in text.split(",") if name)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo quantize``."""
    parser.add_argument("--model_dir", type=Path, required=True, help="exported with ONNX")
    parser.add_argument("--calibration", required=True, help="video, folder or list file")
    parser.add_argument("--num_videos", type=int, help="to measure on (default: 100)")
    parser.add_argument("--output_dir", type=Path, help="default: <model_dir>_int8")
    parser.add_argument(
        "--weights_only", action="store_true", help="8-bit weights, float32 arithmetic"
    )
    parser.add_argument(
        "--keep_float",
        type=names,
        default=(),
        metavar="NAME,...",
        help="layers and states that are to stay in float: names (conv003) or kinds (depthwise, "
        "state)",
    )
    parser.add_argument(
        "--max_error",
        type=float,
        help="of the logits, in their standard deviations; the worst layers and states stay in "
        "float until it is kept (default: 0.05)",
    )
    parser.add_argument(
        "--range_method",
        choices=("minmax", "percentile", "mse"),
        help="how ranges of activations are chosen (default: minmax)",
    )
    parser.add_argument(
        "--search_videos",
        type=int,
        help="of the calibration videos, to compare layers on (default: 16)",
    )
    parser.add_argument(
        "--format",
        type=names,
        default=("onnx",),
        metavar="onnx,tflite",
        help="tflite: write the program for LiteRT, too (docs/tflite.md)",
    )


def table(result: "Quantized") -> str:
    """One line a layer, then one a state."""
    from paddlevideo.export.quantization.rounded_states import STATE_KIND

    rows: list[tuple[str, str, tuple[int, ...], float | None, str]] = [
        (item.layer.name, item.layer.kind, item.layer.shape, item.damage, item.stored)
        for item in result.layers
    ]
    rows += [
        (item.state.name, STATE_KIND, item.state.shape, item.damage, item.stored)
        for item in result.states
    ]
    width = max(len("layer"), *(len(name) for name, *_ in rows)) + 2
    lines = [f"{'layer':{width}}{'kind':11}{'kernel':16}{'damage alone':>13}  kept as"]
    for name, kind, shape, damage, stored in rows:
        sizes = "x".join(map(str, shape))
        found = "-" if damage is None else f"{damage:.5f}"
        lines.append(f"{name:{width}}{kind:11}{sizes:16}{found:>13}  {stored}")
    return "\n".join(lines)


def program_bytes(bundle: "Bundle") -> int:
    """Size of the program that is quantised, as ONNX."""
    path = (bundle.clip_files if bundle.manifest.step is None else bundle.step_files).onnx
    return path.stat().st_size if path else 0


def summary(result: "Quantized", before: int) -> str:
    """What was measured, and the sizes."""
    size = program_bytes(result.bundle)
    total = sum(path.stat().st_size for path in result.bundle.folder.iterdir() if path.is_file())
    kind = "clip" if result.bundle.manifest.step is None else "step"
    layers: list[str] = [choice.stored for choice in result.layers]
    states: list[str] = [choice.stored for choice in result.states]
    kept = [f"states       {_counts(states, 'uint8', 'float32')}"] if states else []
    return "\n".join(
        [
            f"layers       {_counts(layers, 'int8', 'int8 weights', 'float16 weights')}",
            *kept,
            f"error        {result.damage.error:.4f} standard deviations of the logits",
            f"agreement    {result.damage.agreement:.3f} of the clips compared on",
            f"videos       {result.num_videos} read, {result.num_unreadable} unreadable",
            f"{kind} program {before / 1e6:.2f} MB -> {size / 1e6:.2f} MB",
            f"folder       {result.bundle.folder}, {total / 1e6:.2f} MB",
        ]
    )


def _counts(stored: Sequence[str], *forms: str) -> str:
    return ", ".join(f"{stored.count(form)} {form}" for form in forms)


def run(arguments: argparse.Namespace) -> None:
    """Quantise.

    Raises:
        ConfigError: options that do not go together.
    """
    from paddlevideo.apps.bulk.prediction import find_videos
    from paddlevideo.export.quantization import QuantizeOptions, quantize_bundle
    from paddlevideo.runtime import read_bundle

    if arguments.weights_only and arguments.range_method is not None:
        raise no_effect("range_method", "integer arithmetic, without --weights_only")
    given = {name: value for name in _WITH_DEFAULTS if (value := vars(arguments)[name]) is not None}
    options = QuantizeOptions(
        weights_only=arguments.weights_only,
        keep_float=arguments.keep_float,
        formats=arguments.format,
        **given,
    )
    bundle = read_bundle(arguments.model_dir)
    folder = arguments.model_dir
    output = arguments.output_dir or folder.with_name(f"{folder.resolve().name}_int8")
    result = quantize_bundle(bundle, find_videos(arguments.calibration), output, options)
    say(table(result))
    say(summary(result, program_bytes(bundle)))
