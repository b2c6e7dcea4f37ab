"""The public Python API: models by name, and the predictor of an exported bundle."""

from typing import Any

from paddle import nn

from paddlevideo.apps.recipes import Weights, load_weights
from paddlevideo.convert.published_section import pretrained_section
from paddlevideo.convert.resolve import fetch
from paddlevideo.modeling import build_recognizer, list_models, model_section
from paddlevideo.runtime import load_predictor
from paddlevideo.utils.errors import WeightsError
from paddlevideo.weights.published import find_entry, is_pretrained

DEFAULT_CLASSES = 400

__all__ = ["create_model", "list_models", "load_predictor"]


def create_model(
    name: str, num_classes: int | None = None, weights: Weights | None = None, **options: Any
) -> nn.Layer:
    """Build a registered model: ``create_model("movinet_a0_base", num_classes=400)``.

    Args:
        name: one of `list_models`.
        num_classes: number of logits; default: that of the released weights, else 400.
        weights: the name of released weights (``"movinet_a0_base_k400"``; they are fetched once,
            and what the network needs for them becomes the default of ``options`` and value
            scaling), or a ``.pdparams`` or ``.safetensors`` file, ours or PaddleVideo's, or a
            ``.tflite`` of a MoViNet stream or the folder of a bundle (the options must be those of
            its network, or the error names them; docs/weights.md says what training from it
            needs). If they are of
            another number of classes, all but the classifier's last layer is loaded, and a
            warning in the log says so. For an ensemble also one for each member, by its name:
            ``{"a4": FILE, "a5": FILE}``.
        options: of the backbone (``causal``, ``se_type``, ``padding``, ...), ``dropout`` and
            ``classifier_activation``.

    Returns:
        A recognizer: clips [B, T, 3, H, W], uint8 or float in [0, 255], RGB, to logits; an ensemble
        takes one for each member (``model.input_specs()`` says which).

    Raises:
        ConfigError: unknown name or option.
        WeightsError: the file cannot be read or does not fit; nothing is loaded in part.
        DownloadError: released weights cannot be fetched; the message says what to do.
    """
    if num_classes is not None:
        options["num_classes"] = num_classes
    if isinstance(weights, str) and is_pretrained(weights):
        section = _section_of_released(name, weights, options)
    else:
        section = model_section(name, **{"num_classes": DEFAULT_CLASSES, **options})
    model = build_recognizer(section, name)
    if weights is not None:
        load_weights(model, weights, initial=True)
    return model


def _section_of_released(name: str, weights: str, options: dict[str, Any]) -> dict[str, Any]:
    """The MODEL section that released weights are for, if they are of the model ``name``."""
    entry = find_entry(weights)
    if entry.model != name:
        model_section(name)  # an unknown name is told first
        raise WeightsError(f"the weights {weights} are of {entry.model}, not of {name}")
    fetch(entry)  # options may be found in the file
    return pretrained_section(entry, **options)
