"""What ``tools/convert_weights.py`` and ``paddlevideo convert`` do."""

import argparse
import math
from pathlib import Path

from paddle import nn

from paddlevideo.apps.bulk.prediction import find_videos
from paddlevideo.apps.native_clips import native_clips
from paddlevideo.cli.output import say
from paddlevideo.convert.golden import Golden, golden_options
from paddlevideo.convert.import_weights import SOURCES, import_weights
from paddlevideo.convert.imported import ImportedWeights, by_reason
from paddlevideo.convert.verify import differences
from paddlevideo.modeling import build_recognizer, model_section
from paddlevideo.modeling.device import setup_device
from paddlevideo.modeling.layers.restore_batch_norm import is_folded, restore_batch_norm
from paddlevideo.tasks.class_names import RECORD_NAME
from paddlevideo.utils.config import apply_override
from paddlevideo.utils.errors import ConfigError, WeightsError
from paddlevideo.utils.files import write_json
from paddlevideo.utils.nodes import Node
from paddlevideo.weights import load_arrays, model_arrays, write_weights
from paddlevideo.weights.files import PDPARAMS, SAFETENSORS

TOLERANCE = 1e-5  # of the largest absolute value
NO_SCALING = {"scale": 1.0}  # goldens hold what goes into the network
SHOWN = 4
MOST_VIDEOS = 32


def given_options(arguments: argparse.Namespace) -> Node:
    """What the user said of the model."""
    options: Node = {}
    for option in arguments.option:
        if "." in option.partition("=")[0]:
            raise ConfigError(f"--option {option}: expected KEY=VALUE without dots in KEY")
        apply_override(options, option)
    if arguments.num_classes is not None:
        options["num_classes"] = arguments.num_classes
    return options


def resolve_name(arguments: argparse.Namespace, imported: ImportedWeights) -> str:
    """The registered name: as it is given, or as the file shows it."""
    if imported.model is None and arguments.model is None:
        raise ConfigError(f"--model is missing: a file of {arguments.source} does not show it")
    if imported.model is not None and arguments.model not in (None, imported.model):
        raise ConfigError(
            f"--model {arguments.model}: {imported.source} is of {imported.model}; leave it out"
        )
    return imported.model or arguments.model


def check_options(given: Node, imported: ImportedWeights) -> None:
    """Refuse an option that the file shows to be another."""
    for key, value in given.items():
        if imported.options.get(key, value) != value:
            raise ConfigError(
                f"{key}={value}: {imported.source} has {key}={imported.options[key]}; leave it out"
            )


def add_options(options: Node, others: Node, origin: str) -> None:
    """Add what the user did not say, with a line for each."""
    for key, value in others.items():
        if key not in options:
            options[key] = value
            say(f"option      {key}={value} (from {origin})")


def resolve_section(
    arguments: argparse.Namespace, name: str, golden: Golden | None, imported: ImportedWeights
) -> Node:
    """The MODEL section: the user's options, then the file's, the golden's, the source's."""
    options = given_options(arguments)
    check_options(options, imported)
    add_options(options, imported.options, str(imported.source))
    section = model_section(name, **options)
    if golden is not None:
        add_options(options, golden_options(golden, section), str(golden.path))
        section = model_section(name, **options)
    needed = SOURCES[arguments.source].options(section["backbone"])
    add_options(options, needed, f"the source {arguments.source}")
    if imported.scaling is not None:
        say(f"scaling     set MODEL.scaling: {imported.scaling} where these weights are used")
    return {**model_section(name, **options), "scaling": NO_SCALING}


def calibrate(model: nn.Layer, videos: str) -> None:
    """Put batch norm back from clips of videos, as the model's own pipeline makes them."""
    if not is_folded(model):
        raise WeightsError(
            "--calibration is for a folded network; this one has batch norm's statistics"
        )
    paths = find_videos(videos)
    count = min(MOST_VIDEOS, len(paths))
    chosen = [paths[number * len(paths) // count] for number in range(count)]
    clips = native_clips(model.input_spec(), chosen)
    num_norms = restore_batch_norm(model, clips)
    say(f"calibrated  {num_norms} batch norms on {count} videos; the function stays the same")


def report(imported: ImportedWeights) -> None:
    """What was matched, and what was left over and why."""
    numbers = sum(array.size for array in imported.arrays.values())
    say(f"matched     {len(imported.arrays)} tensors, {numbers} numbers: all of the model's")
    if not imported.left_over:
        say("left over   nothing")
    for reason, names in by_reason(imported.left_over).items():
        more = ", ..." if len(names) > SHOWN else ""
        say(f"left over   {len(names)} ({reason}): {', '.join(names[:SHOWN])}{more}")


def verify(model: nn.Layer, golden: Golden) -> None:
    """Print each difference; `WeightsError` if one is too large."""
    found = differences(model, golden)
    for what, difference in found.items():
        say(f"verified    {what}: {difference:.2e}")
    if any(math.isnan(d) or d > TOLERANCE for d in found.values()):
        raise WeightsError(
            f"the largest difference from {golden.path} is {max(found.values()):.2e} of the "
            f"largest value, above {TOLERANCE:.0e}; nothing was written"
        )


def write_class_names(path: Path, names: list[str] | None) -> None:
    """Record the file's names of the classes beside its weights; another record stays."""
    if names is None:
        return
    if path.exists():
        say(f"kept        {path}; the names in the bundle are not written")
        return
    write_json(path, {"class_names": names})
    say(f"wrote       {path}: {len(names)} names of classes")


def convert(arguments: argparse.Namespace) -> None:
    """Read, hold against the model, verify where asked, and write."""
    if arguments.output.suffix not in (PDPARAMS, SAFETENSORS):
        raise WeightsError(f"cannot write {arguments.output}: expected {PDPARAMS} or {SAFETENSORS}")
    setup_device("cpu")
    golden = None if arguments.verify is None else Golden(arguments.verify)
    if arguments.model is not None and "backbone" not in model_section(arguments.model):
        raise ConfigError(f"{arguments.model} is made of several models; convert each by itself")
    imported = import_weights(arguments.source, arguments.input)
    name = resolve_name(arguments, imported)
    model = build_recognizer(resolve_section(arguments, name, golden, imported), name)
    shapes = {weight: tensor.shape for weight, tensor in model.state_dict().items()}
    imported.require_fit(shapes, name)
    load_arrays(model, imported.arrays, imported.source)
    say(f"read        {imported.source}: {name}")
    report(imported)
    if golden is not None:
        verify(model, golden)
    if arguments.calibration is not None:
        calibrate(model, arguments.calibration)
    write_weights(arguments.output, model_arrays(model))
    say(f"wrote       {arguments.output}")
    write_class_names(arguments.output.with_name(RECORD_NAME), imported.class_names)
