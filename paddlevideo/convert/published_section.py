"""Whether a model computes what released weights were trained with; shapes do not tell it all."""

from paddlevideo.convert.resolve import options_of
from paddlevideo.modeling import model_section
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.weights.published.entry import PretrainedEntry

# What changes the function and leaves the weights' shapes; the network's own default for each.
_OF_BACKBONE = {
    "activation": "swish",
    "gating_activation": "sigmoid",
    "padding": "same",
    "bn_epsilon": 0.001,
    "use_positional_encoding": False,
}
_OF_HEAD = {"activation": "swish"}


def pretrained_section(entry: PretrainedEntry, **options: object) -> Node:
    """The MODEL section of the network that an entry's weights are of.

    Args:
        options: of `create_model`; they come before the entry's own.
    """
    own = {"num_classes": entry.num_classes, **options_of(entry), **options}
    section = model_section(entry.model, **own)
    return {**section, "scaling": entry.scaling} if entry.scaling else section


def check_section(entry: PretrainedEntry, section: ReadNode) -> None:
    """Raise `ConfigError` where a MODEL section has other options than the weights are for."""
    wanted = pretrained_section(entry)
    wrong = [
        f"MODEL.{part}.{key}={value}"
        for part, defaults in (("backbone", _OF_BACKBONE), ("head", _OF_HEAD))
        for key, default in defaults.items()
        if (value := wanted[part].get(key, default)) != (section.get(part) or {}).get(key, default)
    ]
    if wrong:
        raise ConfigError(
            f"the weights {entry.name} are of another network than MODEL describes, though their "
            f"shapes are the same; set {', '.join(wrong)} (or name the file itself to load it all "
            "the same)"
        )
