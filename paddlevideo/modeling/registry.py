"""The registries of the models' parts, each with the interface that its components keep to."""

from paddle import nn

from paddlevideo.modeling.interfaces import Backbone, Head, Recognizer
from paddlevideo.utils.nodes import Node
from paddlevideo.utils.registry import ClassRegistry, Registry

BACKBONES: ClassRegistry[Backbone] = ClassRegistry("backbone", Backbone)
HEADS: ClassRegistry[Head] = ClassRegistry("head", Head)
LOSSES: ClassRegistry[nn.Layer] = ClassRegistry("loss", nn.Layer)
RECOGNIZERS: ClassRegistry[Recognizer] = ClassRegistry("recognizer", Recognizer)

# A preset is the MODEL section of a well-known model: (num_classes, backbone options) -> section.
PRESETS: Registry[Node] = Registry("model")
