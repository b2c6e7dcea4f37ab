"""The registered names: ``movinet_a0_base`` ... as MODEL sections (docs/movinet.md)."""

from collections.abc import Callable

from paddlevideo.modeling.backbones.movinet.specs import SPECS, MoViNetSpec
from paddlevideo.modeling.registry import PRESETS
from paddlevideo.utils.nodes import Node


def _base_preset(model_type: str, spec: MoViNetSpec) -> Callable[..., Node]:
    def preset(
        num_classes: int = 600,
        dropout: float = spec.dropout,
        classifier_activation: str = "swish",
        **backbone_options: object,
    ) -> Node:
        """The MODEL section; every other option is the backbone's."""
        return {
            "framework": "ClipRecognizer",
            "backbone": {"name": "MoViNet", "model_type": model_type, **backbone_options},
            "head": {
                "name": "ClassifierHead",
                "num_classes": num_classes,
                "hidden_dim": spec.hidden_channels,
                "activation": classifier_activation,
                "dropout": dropout,
            },
        }

    return preset


def _stream_preset(model_type: str, spec: MoViNetSpec) -> Callable[..., Node]:
    """The causal network of the released stream models; its head keeps swish.

    The int8 networks that were released for phones differ in three options: no gates, and relu6 in
    backbone and head (configs/recognition/movinet/movinet_a0_stream_mobile.yaml).
    """
    base = _base_preset(model_type, spec)
    stream_options = {
        "causal": True,
        "conv_type": "2plus1d",
        "se_type": "2plus3d",
        "activation": "hard_swish",
        "gating_activation": "hard_sigmoid",
        "use_positional_encoding": spec.positional_encoding,
    }

    def preset(
        num_classes: int = 600, dropout: float = spec.stream_dropout, **options: object
    ) -> Node:
        """The MODEL section; every other option is that of the base model."""
        return base(num_classes=num_classes, dropout=dropout, **{**stream_options, **options})

    return preset


def _ensemble_preset(*model_types: str) -> Callable[..., Node]:
    """Several base models on the same video, each with its own frames and size."""
    bases = {name.lower(): _base_preset(name, SPECS[name]) for name in model_types}

    def preset(num_classes: int = 600, **options: object) -> Node:
        """The MODEL section; the options are those of every member."""
        members = {name: base(num_classes=num_classes, **options) for name, base in bases.items()}
        return {"framework": "EnsembleRecognizer", "members": members}

    return preset


for _model_type, _spec in SPECS.items():
    PRESETS.register_as(f"movinet_{_model_type.lower()}_base")(_base_preset(_model_type, _spec))
    PRESETS.register_as(f"movinet_{_model_type.lower()}_stream")(_stream_preset(_model_type, _spec))
PRESETS.register_as("movinet_a6_base")(_ensemble_preset("A4", "A5"))
