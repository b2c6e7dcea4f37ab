"""The registries of the models' parts."""

from collections.abc import Callable
from typing import Any

from paddle import nn

from paddlevideo.utils.registry import Registry

BACKBONES: Registry[nn.Layer] = Registry("backbone")
HEADS: Registry[nn.Layer] = Registry("head")
LOSSES: Registry[nn.Layer] = Registry("loss")
RECOGNIZERS: Registry[nn.Layer] = Registry("recognizer")

# A preset is the MODEL section of a well-known model: (num_classes, backbone options) -> section.
PRESETS: Registry[dict[str, Any]] = Registry("model")

Preset = Callable[..., dict[str, Any]]
