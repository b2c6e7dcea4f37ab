"""Say what registered models cost and want: parameters, multiply-adds, states, native input.

paddlevideo model-info                                  # every model
paddlevideo model-info "*_stream" --num_classes 400 --format markdown
paddlevideo model-info NAME --size 224 --option conv_type=3d se_type=3d
paddlevideo model-info -c CONFIG                        # the model of a config
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from paddlevideo.cli.output import aligned, say
from paddlevideo.utils.errors import ConfigError, DataError, nearest_hint, no_effect
from paddlevideo.utils.packages import TRAINING

if TYPE_CHECKING:
    from paddlevideo.modeling.complexity import ModelComplexity
    from paddlevideo.modeling.input_spec import InputSpec
    from paddlevideo.utils.nodes import Node

PACKAGES = TRAINING

_ALL = "all"
_CLASSES = 600
_NONE = "-"


def frame_size(text: str) -> tuple[int, int]:
    """``224`` or ``HEIGHTxWIDTH``."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdigit() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected 224 or 180x320 (height x width), got {text}")
    return int(parts[0]), int(parts[-1])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``paddlevideo model-info``."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("name", nargs="?", help="a model, a pattern, or all (the default)")
    which.add_argument("-c", "--config", help="the model of this config instead")
    parser.add_argument("--num_classes", type=int, help=f"default: {_CLASSES}")
    parser.add_argument("--frames", type=int, help="of a clip; default: the native number")
    parser.add_argument("--size", type=frame_size, help="224 or 180x320; default: the native one")
    parser.add_argument(
        "--option",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="options of the model",
    )
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("--output", type=Path, help="write to a file instead of the terminal")


def matching(pattern: str) -> list[str]:
    """Names of models."""
    from paddlevideo.modeling import list_models

    names = list_models("*" if pattern == _ALL else pattern)
    if not names:
        raise ConfigError(f'no model is called "{pattern}"; {nearest_hint(pattern, list_models())}')
    return names


def sections_of(arguments: argparse.Namespace) -> "dict[str, Node]":
    """The MODEL sections to look at, by name.

    Raises:
        ConfigError: no such model or option, or a config with options of registered models.
    """
    from paddlevideo.apps.recipes import open_recipe
    from paddlevideo.modeling import model_section
    from paddlevideo.utils.config import apply_override

    if arguments.config is not None:
        for option in ("num_classes", "option"):
            if vars(arguments)[option]:
                raise no_effect(option, "models by name, without -c")
        recipe = open_recipe(arguments.config)
        return {recipe.model_name: recipe.MODEL}
    classes = _CLASSES if arguments.num_classes is None else arguments.num_classes
    options: Node = {}
    for option in arguments.option:
        apply_override(options, option)
    names = matching(arguments.name or _ALL)
    return {name: model_section(name, num_classes=classes, **options) for name in names}


def complexity_of(name: str, section: "Node", arguments: argparse.Namespace) -> "ModelComplexity":
    """What a model is and costs."""
    import paddle

    from paddlevideo.modeling import build_recognizer
    from paddlevideo.modeling.complexity import model_complexity

    with paddle.LazyGuard():  # shapes are enough: drawing initial values takes longer than the rest
        model = build_recognizer(section, name)
    return model_complexity(model, arguments.frames, arguments.size)


# --- one row a model


def short_number(count: int) -> str:
    """Three figures and more with a unit: ``50.7 M``."""
    for limit, unit, digits in ((1e11, "G", 1), (1e9, "G", 2), (1e6, "M", 1)):
        if count >= limit:
            return f"{count / (1e9 if unit == 'G' else 1e6):.{digits}f} {unit}"
    return f"{count:,}"


def pixels(clip: "InputSpec") -> str:
    """``180x320``."""
    return f"{clip.height}x{clip.width}"


def row(name: str, complexity: "ModelComplexity") -> dict[str, str]:
    """The cells of one model by column; an ensemble lists its members' inputs with ``+``."""
    from paddlevideo.modeling.complexity import frames_per_second

    def each(text: Callable[["InputSpec"], object]) -> str:
        return " + ".join(str(text(clip)) for clip in complexity.inputs.values())

    streams = complexity.num_states > 0
    per_frame = complexity.multiply_adds_per_frame if streams else None
    return {
        "model": name,
        "parameters": f"{complexity.parameters:,}",
        "trainable": f"{complexity.trainable_parameters:,}",
        "backbone": f"{complexity.backbone_parameters:,}",
        "MACs/clip": short_number(complexity.multiply_adds_per_clip),
        "MACs/frame": short_number(per_frame) if per_frame is not None else _NONE,
        "states": str(complexity.num_states) if streams else _NONE,
        "buffers": str(complexity.num_stream_buffers) if streams else _NONE,
        "state MB": f"{complexity.state_bytes / 1e6:.2f}" if streams else _NONE,
        "field": _NONE if complexity.receptive_field is None else str(complexity.receptive_field),
        "frames": each(lambda clip: clip.num_frames),
        "pixels": each(pixels),
        "stride": each(lambda clip: clip.stride_frames),
        "fps": each(lambda clip: f"{frames_per_second(clip):.3g}"),
        "short side": each(lambda clip: clip.short_side or _NONE),
    }


# --- formats


def as_table(complexity: dict[str, "ModelComplexity"]) -> str:
    """Aligned columns: names to the left, numbers to the right."""
    rows = [row(name, one) for name, one in complexity.items()]
    lines = [list(rows[0]), *(list(one.values()) for one in rows)]
    return "".join(f"{line}\n" for line in aligned(lines, numbers=True))


def as_markdown(complexity: dict[str, "ModelComplexity"]) -> str:
    """A table of Markdown."""
    rows = [row(name, one) for name, one in complexity.items()]
    lines = [list(rows[0]), ["---"] + ["---:"] * (len(rows[0]) - 1)]
    lines += [[f"`{name}`", *cells] for name, *cells in (one.values() for one in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def as_json(complexity: dict[str, "ModelComplexity"]) -> str:
    """All numbers as they are."""
    return json.dumps({name: asdict(one) for name, one in complexity.items()}, indent=2) + "\n"


FORMATS = {"table": as_table, "markdown": as_markdown, "json": as_json}


def run(arguments: argparse.Namespace) -> None:
    """Write what models cost.

    Raises:
        ConfigError: no such model or option.
        DataError: the file cannot be written.
    """
    from paddlevideo.utils.files import write_text

    sections = sections_of(arguments)
    text = FORMATS[arguments.format](
        {name: complexity_of(name, section, arguments) for name, section in sections.items()}
    )
    if arguments.output:
        try:
            write_text(arguments.output, text)
        except OSError as error:
            raise DataError(f"--output {arguments.output}: {error.strerror}") from None
        say(f"wrote {arguments.output}")
    else:
        say(text.removesuffix("\n"))
