"""The public Python API: models by name, and the predictor of an exported bundle."""

from typing import TYPE_CHECKING

from paddlevideo.runtime.predictor import load_predictor
from paddlevideo.utils.errors import WeightsError
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.packages import TRAINING, require_packages

if TYPE_CHECKING:  # what these import needs Paddle, which the predictor does without
    from paddle import nn

    from paddlevideo.apps.recipes import Weights

DEFAULT_CLASSES = 400

__all__ = ["create_model", "list_models", "load_predictor"]


def create_model(
    name: str, num_classes: int | None = None, weights: "Weights | None" = None, **options: object
) -> "nn.Layer":
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
        DeviceError: Paddle is not installed.
    """
    require_packages("create_model", *TRAINING)
    from paddlevideo.apps.recipes import load_weights
    from paddlevideo.modeling import build_recognizer, model_section
    from paddlevideo.weights.published import is_pretrained

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


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of all models that match ``pattern`` (as of files: ``"*_stream"``).

    Raises:
        DeviceError: Paddle is not installed.
    """
    require_packages("list_models", *TRAINING)
    from paddlevideo import modeling

    return modeling.list_models(pattern)


def _section_of_released(name: str, weights: str, options: Node) -> Node:
    """The MODEL section that released weights are for, if they are of the model ``name``."""
    from paddlevideo.convert.published_section import pretrained_section
    from paddlevideo.convert.resolve import fetch
    from paddlevideo.modeling import model_section
    from paddlevideo.weights.published import find_entry

    entry = find_entry(weights)
    if entry.model != name:
        model_section(name)  # an unknown name is reported first
        raise WeightsError(f"the weights {weights} are of {entry.model}, not of {name}")
    fetch(entry)  # options may be found in the file
    return pretrained_section(entry, **options)
