"""Compare a model with the options that a weights file shows."""

from typing import Any

from paddle import nn

from paddlevideo.convert.imported import ImportedWeights
from paddlevideo.modeling.builder import model_section
from paddlevideo.utils.errors import WeightsError

_CLASSES = "num_classes"


def require_options(imported: ImportedWeights, model: nn.Layer, initial: bool = False) -> None:
    """Raise unless ``model`` computes what the network of the file does.

    Args:
        imported: with ``model`` and ``options``, as the file shows them.
        initial: the weights are what training starts from; the number of classes may differ.

    Raises:
        WeightsError: lists every option to set, as a config and as `create_model` take it.
    """
    if imported.model is None:
        return
    section = model_section(imported.model, **imported.options)
    wanted = {f"MODEL.backbone.{key}": value for key, value in section["backbone"].items()}
    wanted["MODEL.head.activation"] = section["head"]["activation"]
    if not initial:
        wanted[f"MODEL.head.{_CLASSES}"] = section["head"][_CLASSES]
    found = _options_of(model)
    if "gating_activation" not in imported.options:  # without gates it does not matter
        wanted.pop("MODEL.backbone.gating_activation", None)
    wrong = [
        f"  {key}: {value} (the model has {found.get(key, 'no such option')})"
        for key, value in wanted.items()
        if found.get(key) != value
    ]
    if wrong:
        arguments = ", ".join(f"{key}={value!r}" for key, value in imported.options.items())
        raise WeightsError(
            f"{imported.source} is of a network with other options; nothing was loaded. Set\n"
            + "\n".join(wrong)
            + f"\nor create_model({imported.model!r}, {arguments})"
        )


def _options_of(model: nn.Layer) -> dict[str, Any]:
    """What the model was built with, under the names of a config."""
    backbone, head = getattr(model, "backbone", None), getattr(model, "head", None)
    options = getattr(backbone, "options", None)
    found = {
        "MODEL.backbone.name": type(backbone).__name__,
        "MODEL.backbone.model_type": getattr(backbone, "model_type", None),
        "MODEL.head.activation": getattr(head, "activation_name", None),
        f"MODEL.head.{_CLASSES}": getattr(model, _CLASSES, None),
    }
    for key, value in (vars(options) if options is not None else {}).items():
        found[f"MODEL.backbone.{key}"] = value
    if getattr(options, "factorised", False):  # both of its names are one network
        found["MODEL.backbone.conv_type"] = "2plus1d"
    return found
