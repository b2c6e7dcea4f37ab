"""Build a recognizer from a MODEL section, or from a registered name."""

import fnmatch

import paddle

from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.modeling.registry import PRESETS, RECOGNIZERS
from paddlevideo.utils.config import merge
from paddlevideo.utils.nodes import Node, ReadNode

DEFAULT_FRAMEWORK = "ClipRecognizer"


def list_models(pattern: str = "*") -> list[str]:
    """Return the registered model names that match a shell pattern such as ``movinet_*``."""
    return [name for name in PRESETS if fnmatch.fnmatch(name, pattern)]


def model_section(name: str, **options: object) -> Node:
    """Return the MODEL section of a registered name; ``options`` are those of its preset."""
    return PRESETS.get(name)(**options)


def resolve_model_section(section: ReadNode, where: str = "MODEL") -> Node:
    """Expand ``preset: movinet_a0_base`` and check every name and argument of the section.

    Keys beside ``preset`` are laid on top of it, so that a YAML file states only what differs.

    Raises:
        ConfigError: unknown preset, component or argument, with the YAML path.
    """
    node = dict(section)
    preset = node.pop("preset", None)
    if preset is not None:
        node = merge(PRESETS.get(preset, f"{where}.preset")(), node)
    framework = node.pop("framework", DEFAULT_FRAMEWORK)
    recognizer = RECOGNIZERS.get(framework, f"{where}.framework")
    RECOGNIZERS.check({"name": framework, **node}, where)
    return {"framework": framework, **recognizer.check_node(node, where)}


def build_recognizer(section: ReadNode, where: str = "MODEL") -> Recognizer:
    """Build the recognizer that a MODEL section describes."""
    resolved = resolve_model_section(section, where)
    return RECOGNIZERS.build({"name": resolved.pop("framework"), **resolved}, where)


def number_of_classes(section: ReadNode, where: str = "MODEL") -> int:
    """Return how many logits the model of a MODEL section has; no weight is given a value."""
    with paddle.LazyGuard():
        return build_recognizer(section, where).num_classes
