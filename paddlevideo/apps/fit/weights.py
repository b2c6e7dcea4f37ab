"""Which weights a fit starts from, and the network that they are of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paddlevideo.apps.fit.options import NO_WEIGHTS, FitOptions
from paddlevideo.convert.published_section import pretrained_section
from paddlevideo.convert.resolve import fetch
from paddlevideo.convert.self_describing import import_self_describing
from paddlevideo.modeling import model_section
from paddlevideo.utils.errors import DownloadError, WeightsError
from paddlevideo.utils.nodes import Node
from paddlevideo.weights.published import PRETRAINED, find_entry, is_pretrained

_GAIN = (
    "Starting from them is what makes a good model of few videos: on seven steps of hand washing "
    "all of 50 videos right, against 40 (docs/own_data.md)"
)


@dataclass(frozen=True)
class Start:
    """What training starts from.

    Attributes:
        weights: name or file; None: random numbers.
        section: the MODEL section that fits, without the number of classes.
        sentence: in plain English.
    """

    weights: str | None
    section: Node
    sentence: str


def choose_start(options: FitOptions, num_classes: int, say: Callable[[str], None]) -> Start:
    """Find the weights that are asked for, or the released ones of the model.

    Raises:
        WeightsError, DownloadError: weights that are asked for cannot be had, or are of another
            model.
    """
    if options.weights == NO_WEIGHTS:
        return _scratch(options, num_classes, "The network starts from random numbers, as asked.")
    if options.weights is None:
        return _released(options, num_classes, say)
    if is_pretrained(options.weights):
        return _by_name(options, options.weights, num_classes)
    return _by_file(options, options.weights, num_classes)


def _scratch(options: FitOptions, num_classes: int, sentence: str) -> Start:
    return Start(None, model_section(options.model, num_classes=num_classes), sentence)


def _released(options: FitOptions, num_classes: int, say: Callable[[str], None]) -> Start:
    """The model's own, if they are in the cache or can be fetched."""
    names = [name for name, entry in PRETRAINED.items() if entry.model == options.model]
    problem = f"no released weights of {options.model} are known"
    for name in names[:1]:
        try:
            return _by_name(options, name, num_classes)
        except (DownloadError, WeightsError) as error:
            problem = str(error)
    say(f"No pretrained weights: {problem}. {_GAIN}; --weights takes a name or a file.")
    sentence = "The network starts from random numbers: its released weights could not be had."
    return _scratch(options, num_classes, sentence)


def _by_name(options: FitOptions, name: str, num_classes: int) -> Start:
    entry = find_entry(name)
    if entry.model != options.model:
        raise WeightsError(
            f"the weights {name} are of {entry.model}, not of {options.model}; give --model "
            f"{entry.model}, or other weights"
        )
    fetch(entry)
    section = pretrained_section(entry, num_classes=num_classes)
    return Start(name, section, f"The network starts from the released weights {name}.")


def _by_file(options: FitOptions, file: str, num_classes: int) -> Start:
    path = Path(file)
    sentence = f"The network starts from the weights in {path.name}."
    if not path.exists():
        raise WeightsError(
            f"--weights {file}: no such file, and no released weights of that name; "
            "paddlevideo download --list has the names"
        )
    found = import_self_describing(path)
    if found is None:
        section = model_section(options.model, num_classes=num_classes)
        return Start(str(path.resolve()), section, sentence)
    if found.model != options.model:
        raise WeightsError(
            f"--weights {file} is a {found.model}, not {options.model}; give --model {found.model}"
        )
    if found.scaling == {"scale": 1.0}:
        raise WeightsError(
            f"--weights {file}: the values of its pixels are scaled by its pipeline, and fit "
            "trains networks that scale them; take the weights file that it was exported from"
        )
    section = model_section(options.model, **{**found.options, "num_classes": num_classes})
    if found.scaling is not None:
        section["scaling"] = found.scaling
    return Start(str(path.resolve()), section, sentence)
