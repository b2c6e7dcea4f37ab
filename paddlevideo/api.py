"""The public Python API: models by name, and the predictor of an exported bundle."""

from typing import Any

from paddle import nn

from paddlevideo.deploy import load_predictor
from paddlevideo.entry import Weights, load_weights
from paddlevideo.modeling import build_recognizer, list_models, model_section

__all__ = ["create_model", "list_models", "load_predictor"]


def create_model(
    name: str, num_classes: int = 400, weights: Weights | None = None, **options: Any
) -> nn.Layer:
    """Build a registered model: ``create_model("movinet_a0_base", num_classes=400)``.

    Args:
        name: one of `list_models`.
        num_classes: number of logits.
        weights: a ``.pdparams`` or ``.safetensors`` file, ours or PaddleVideo's, or a ``.tflite``
            of a MoViNet stream (the options must be those of its network, or the error names them;
            see docs/weights.md for what training from it needs). If it is of
            another number of classes, all but the classifier's last layer is loaded, and a
            warning in the log says so. For an ensemble also a file for each member, by its name:
            ``{"a4": FILE, "a5": FILE}``.
        options: of the backbone (``causal``, ``se_type``, ``padding``, ...), ``dropout`` and
            ``classifier_activation``.

    Returns:
        A recognizer: clips [B, T, 3, H, W], uint8 or float in [0, 255], RGB, to logits; an ensemble
        takes one for each member (``model.input_specs()`` says which).

    Raises:
        ConfigError: unknown name or option.
        WeightsError: the file cannot be read or does not fit; nothing is loaded in part.
    """
    model = build_recognizer(model_section(name, num_classes=num_classes, **options), name)
    if weights is not None:
        load_weights(model, weights, initial=True)
    return model
