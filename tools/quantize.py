"""Quantise an exported model: weights, and where the device gains by it arithmetic, on 8 bits.

python tools/export_model.py -c CONFIG -p WEIGHTS -o inference/Mine --format paddle,onnx
python tools/quantize.py --model_dir inference/Mine --calibration data/mine/train --num_videos 100

The videos are of the kind that the model is to see, and not those that it is tested on: each runs
through the model frame by frame, its states handed on. A layer that alone damages the logits too
much stays in float; the table says which (docs/quantization.md).
"""

import argparse
from pathlib import Path

import _root  # noqa: F401

from paddlevideo.apps.bulk.prediction import find_videos
from paddlevideo.apps.recipes import run_command
from paddlevideo.export.quantization import Quantized, QuantizeOptions, quantize_bundle
from paddlevideo.runtime import Bundle, read_bundle
from paddlevideo.utils.errors import no_effect

_DEFAULT = QuantizeOptions()


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name for name in text.split(",") if name)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model_dir", type=Path, required=True, help="exported with ONNX")
    parser.add_argument("--calibration", required=True, help="video, folder or list file")
    parser.add_argument(
        "--num_videos", type=int, default=_DEFAULT.num_videos, help="to measure on (default: 100)"
    )
    parser.add_argument("--output_dir", type=Path, help="default: <model_dir>_int8")
    parser.add_argument(
        "--weights_only", action="store_true", help="8-bit weights, float32 arithmetic"
    )
    parser.add_argument(
        "--keep_float",
        type=names,
        default=(),
        metavar="NAME,...",
        help="layers that are to stay in float: names (conv003) or kinds (depthwise)",
    )
    parser.add_argument(
        "--max_error",
        type=float,
        default=_DEFAULT.max_error,
        help="of the logits, in their standard deviations; the worst layers stay in float until "
        f"it is kept (default: {_DEFAULT.max_error})",
    )
    parser.add_argument(
        "--range_method",
        choices=("minmax", "percentile", "mse"),
        help=f"how ranges of activations are chosen (default: {_DEFAULT.range_method})",
    )
    parser.add_argument(
        "--search_videos",
        type=int,
        default=_DEFAULT.search_videos,
        help=f"of the calibration videos, to compare layers on (default: {_DEFAULT.search_videos})",
    )
    return parser.parse_args()


def table(result: Quantized) -> str:
    """One line a layer."""
    lines = [f"{'layer':9}{'kind':11}{'kernel':16}{'damage alone':>13}  kept as"]
    for choice in result.layers:
        layer = choice.layer
        kernel = "x".join(map(str, layer.shape))
        damage = "-" if choice.damage is None else f"{choice.damage:.5f}"
        lines.append(f"{layer.name:9}{layer.kind:11}{kernel:16}{damage:>13}  {choice.stored}")
    return "\n".join(lines)


def step_bytes(bundle: Bundle) -> int:
    """Size of the step program as ONNX."""
    path = bundle.step_files.onnx
    return path.stat().st_size if path else 0


def summary(result: Quantized, before: int) -> str:
    """What was measured, and the sizes."""
    size = step_bytes(result.bundle)
    total = sum(path.stat().st_size for path in result.bundle.folder.iterdir() if path.is_file())
    counts = {
        stored: sum(choice.stored == stored for choice in result.layers)
        for stored in ("int8", "int8 weights", "float16 weights")
    }
    return "\n".join(
        [
            f"layers       {', '.join(f'{count} {stored}' for stored, count in counts.items())}",
            f"error        {result.damage.error:.4f} standard deviations of the logits",
            f"agreement    {result.damage.agreement:.3f} of the clips compared on",
            f"videos       {result.num_videos} read, {result.num_unreadable} unreadable",
            f"step program {before / 1e6:.2f} MB -> {size / 1e6:.2f} MB",
            f"folder       {result.bundle.folder}, {total / 1e6:.2f} MB",
        ]
    )


def main() -> None:
    arguments = parse_arguments()
    if arguments.weights_only and arguments.range_method is not None:
        raise no_effect("range_method", "integer arithmetic, without --weights_only")
    options = QuantizeOptions(
        num_videos=arguments.num_videos,
        weights_only=arguments.weights_only,
        keep_float=arguments.keep_float,
        max_error=arguments.max_error,
        range_method=arguments.range_method or _DEFAULT.range_method,
        search_videos=arguments.search_videos,
    )
    bundle = read_bundle(arguments.model_dir)
    folder = arguments.model_dir
    output = arguments.output_dir or folder.with_name(f"{folder.resolve().name}_int8")
    result = quantize_bundle(bundle, find_videos(arguments.calibration), output, options)
    print(table(result))
    print(summary(result, step_bytes(bundle)))


if __name__ == "__main__":
    run_command(main)
