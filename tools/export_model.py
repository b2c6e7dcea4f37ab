"""Export trained weights as a bundle that tools/predict.py and Paddle Inference run.

python tools/export_model.py -c CONFIG -p WEIGHTS -o inference/MoViNetA0
"""

import argparse

import _root  # noqa: F401

from paddlevideo.deploy import export_clip_model
from paddlevideo.entry import Weights, add_config_options, open_model, open_recipe, run_command
from paddlevideo.tasks.build import class_names
from paddlevideo.utils.device import setup_device
from paddlevideo.utils.errors import ConfigError


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_options(parser, "--override")
    parser.add_argument(
        "-p",
        "--pretrained_params",
        required=True,
        nargs="+",
        metavar="FILE",
        help="weights: .pdparams or .safetensors; of an ensemble also MEMBER=FILE for each member",
    )
    parser.add_argument("-o", "--output_path", default="./inference", help="folder of the bundle")
    parser.add_argument("--save_name", help="name of the files (default: the config's model_name)")
    return parser.parse_args()


def weights_of(values: list[str]) -> Weights:
    """One file as it is named; several as ``MEMBER=FILE``."""
    if len(values) == 1:
        return values[0]
    pairs = [value.partition("=") for value in values]
    if not all(name and separator and path for name, separator, path in pairs):
        raise ConfigError(f"-p {' '.join(values)}: expected one file, or MEMBER=FILE for each")
    return {name: path for name, _, path in pairs}


def main() -> None:
    arguments = parse_arguments()
    recipe = open_recipe(arguments.config, arguments.override)
    setup_device("cpu")
    model = open_model(recipe, weights_of(arguments.pretrained_params))
    bundle = export_clip_model(
        model,
        recipe.inference_description(),
        arguments.output_path,
        arguments.save_name or recipe.model_name,
        class_names(recipe, model.num_classes),
    )
    print(f"wrote {bundle.program}, {bundle.params} and {bundle.folder}/inference.yml")


if __name__ == "__main__":
    run_command(main)
