"""Export trained weights as a bundle for prediction, Paddle Inference and ONNX Runtime.

paddlevideo export -c CONFIG -p WEIGHTS -o inference/MoViNetA0

A causal model gets a program of one frame, for streams, beside that of a whole clip.
"""

import argparse
from typing import TYPE_CHECKING

from paddlevideo.cli.config_options import add_config_options
from paddlevideo.cli.output import say
from paddlevideo.cli.prediction_options import positive, positive_number
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.packages import TRAINING

if TYPE_CHECKING:
    from paddlevideo.apps.recipes import Weights
    from paddlevideo.runtime.bundle import Bundle

PACKAGES = TRAINING


def formats(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(text.split(","))


def batch(text: str) -> int | None:
    """``dynamic`` (None), or a number above 0."""
    if text == "dynamic":
        return None
    try:
        return positive(text)
    except argparse.ArgumentTypeError:
        message = f"expected dynamic or a number above 0, got {text}"
        raise argparse.ArgumentTypeError(message) from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo export``."""
    add_config_options(parser, "--override")
    parser.add_argument(
        "-p",
        "--pretrained_params",
        required=True,
        nargs="+",
        metavar="FILE",
        help="weights: .pdparams, .safetensors or .tflite, or a name of `paddlevideo download "
        "--list`; of an ensemble also MEMBER=FILE for each member",
    )
    parser.add_argument("-o", "--output_path", default="./inference", help="folder of the bundle")
    parser.add_argument("--save_name", help="name of the files (default: the config's model_name)")
    parser.add_argument(
        "--mode",
        choices=("clip", "stream"),
        default="auto",
        help="stream: a program of one frame too (default: where the model is causal)",
    )
    parser.add_argument(
        "--format",
        type=formats,
        default=(),
        metavar="paddle,onnx,web,tflite",
        help="onnx: write the programs as ONNX beside Paddle's (pip install "
        "paddlevideo-movinet[onnx]); web: also a page that runs the model in a browser "
        "(docs/web.md); tflite: for LiteRT (its converter has an environment of its own: "
        "docs/tflite.md)",
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="fp16: weights of half the size, computed with in float32; int8: of a network that "
        "was trained with the section QUANTIZE (for others see tools/quantize.py)",
    )
    parser.add_argument(
        "--frames", type=positive, help="frames of a clip (default: the config's pipeline's)"
    )
    parser.add_argument(
        "--frame_rate",
        type=positive_number,
        help="frames per second of a stream (default: what the samplers of the config's pipelines "
        "say, or what the network was made for)",
    )
    parser.add_argument(
        "--batch", type=batch, default=None, metavar="dynamic|N", help="default: dynamic"
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compare every program with the model on random video, and stream with clip; write "
        "nothing if they differ",
    )


def weights_of(values: list[str]) -> "Weights":
    """One file as it is named; several as ``MEMBER=FILE``."""
    if len(values) == 1:
        return values[0]
    pairs = [value.partition("=") for value in values]
    if not all(name and separator and path for name, separator, path in pairs):
        raise ConfigError(f"-p {' '.join(values)}: expected one file, or MEMBER=FILE for each")
    return {name: path for name, _, path in pairs}


def written(bundle: "Bundle") -> str:
    """The files of the bundle, the manifest last."""
    paths = [str(bundle.folder / name) for name in bundle.manifest.named_files()]
    return f"wrote {', '.join(paths)} and {bundle.folder}/inference.yml"


def run(arguments: argparse.Namespace) -> None:
    """Export.

    Raises:
        ConfigError: options that do not go together.
    """
    from paddlevideo.apps.recipes import open_model, open_recipe, weights_files
    from paddlevideo.export import ExportOptions, export_model
    from paddlevideo.export.quantization import export_int8
    from paddlevideo.modeling.device import setup_device
    from paddlevideo.runtime.clip_length import with_frames
    from paddlevideo.tasks.class_names import class_names

    recipe = open_recipe(arguments.config, arguments.override)
    is_int8 = arguments.precision == "int8"
    if is_int8 and recipe.QUANTIZE is None:
        raise ConfigError(
            "--precision int8 needs videos to measure the network on: export with --format "
            "paddle,onnx first, then tools/quantize.py --model_dir DIR --calibration VIDEOS; "
            "or train with the section QUANTIZE"
        )
    if is_int8 and arguments.mode == "clip":
        raise ConfigError("--precision int8 writes the step program alone: leave out --mode")
    setup_device("cpu")
    weights = weights_of(arguments.pretrained_params)
    model = open_model(recipe, weights)
    pipeline = recipe.inference_description()
    if arguments.frames is not None:
        pipeline = with_frames(pipeline, arguments.frames)
    export = export_int8 if is_int8 else export_model
    bundle = export(
        model,
        pipeline,
        arguments.output_path,
        arguments.save_name or recipe.model_name,
        class_names(recipe, model.num_classes, weights_files(weights)),
        ExportOptions(
            mode="stream" if is_int8 else arguments.mode,
            formats=arguments.format,
            batch_size=arguments.batch,
            verify=arguments.verify,
            precision="fp32" if is_int8 else arguments.precision,
            frame_rate=arguments.frame_rate,
        ),
        recipe.PIPELINE.train,
    )
    say(written(bundle))
