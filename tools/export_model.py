"""Export trained weights as a bundle that tools/predict.py and Paddle Inference run.

python tools/export_model.py -c CONFIG -p WEIGHTS -o inference/MoViNetA0
"""

import argparse

import _root  # noqa: F401

from paddlevideo.deploy import export_clip_model
from paddlevideo.entry import add_config_options, open_model, open_recipe, run_command
from paddlevideo.tasks.build import class_names
from paddlevideo.utils.device import setup_device


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_config_options(parser, "--override")
    parser.add_argument(
        "-p", "--pretrained_params", required=True, help="weights: .pdparams or .safetensors"
    )
    parser.add_argument("-o", "--output_path", default="./inference", help="folder of the bundle")
    parser.add_argument("--save_name", help="name of the files (default: the config's model_name)")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    recipe = open_recipe(arguments.config, arguments.override)
    setup_device("cpu")
    model = open_model(recipe, arguments.pretrained_params)
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
