"""The interfaces of a model's parts: what the rest of the package asks of them, and nothing else.

A component derives from the class of its kind and is checked when it is registered. Methods without
a body must be written; the others have a default that is right for most. Axes: B batch, C channels,
T frames, H height, W width. How to add a model: docs/adding_a_model.md.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NoReturn

from paddle import Tensor, nn

from paddlevideo.modeling.input_spec import InputSpec
from paddlevideo.modeling.layers.input_scaling import InputScaling
from paddlevideo.modeling.layers.plain_step import PlainStep
from paddlevideo.modeling.layers.rounding import Quantization
from paddlevideo.modeling.states import StateExchange, States, StateSpec
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import Node, ReadNode

ClipSize = tuple[int, int, int]  # T, H, W
MEMBERS = "members"  # where a recognizer keeps those that it is made of


class Backbone(nn.Layer, ABC):
    """A network from clips [B, 3, T, H, W] (float32, values already scaled) to features.

    Args:
        out_channels: C of the features.

    Attributes:
        out_axes: axes of the features: ``BC`` one vector per clip, ``BTC`` one per frame, ``BCTHW``
            maps (no classifier takes these).
        causal: whether it can go on frame by frame; only a `StreamingBackbone` can.
    """

    out_axes: str = "BC"
    causal: bool = False

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels

    @abstractmethod
    def forward(
        self, x_BCTHW: Tensor, *, endpoints: OrderedDict[str, Tensor] | None = None
    ) -> Tensor:
        """Return the features.

        Args:
            endpoints: filled with outputs of layers by name, for a comparison with another
                implementation. May be ignored.
        """

    @abstractmethod
    def input_spec(self) -> InputSpec:
        """The clip that the network was designed for."""

    @property
    def min_size(self) -> int:
        """Least height and width of a frame in pixels."""
        return 1

    @property
    def receptive_field(self) -> int | None:
        """Frames that an output of the last convolution sees; None: not known."""
        return None

    def stages(self) -> OrderedDict[str, list[nn.Layer]]:
        """The layers by stage, from the input on: what ``freeze`` can name. Default: none."""
        return OrderedDict()

    def multiply_adds(self, num_frames: int, height: int, width: int) -> int | None:
        """Multiply-adds of one clip; None: they are counted in its traced program (slower)."""
        return None

    def built_with(self) -> dict[str, object]:
        """The options that decide what the weights compute, as a config names them."""
        return {"name": type(self).__name__}

    def state_specs(self, height: int, width: int) -> list[StateSpec]:
        """Names, shapes and dtypes of the states of one stream of frames of this size.

        Raises:
            ConfigError: the network is not causal.
        """
        raise ConfigError("only a causal network has states; set backbone.causal: true")

    def clip_network(self, size: ClipSize, scaling: InputScaling) -> nn.Layer | None:
        """A network of its own for clips of ``size``, to be exported; the weights are copied.

        It takes frames of pixels [B * T, 3, H, W] (uint8 or float32; ``scaling`` is part of it) and
        gives [B, C, 1, 1]. None, the default: the model is exported as it is.
        """
        return None

    def quantize(self, quantization: Quantization, scaling: InputScaling) -> None:
        """Give every layer the roundings that an int8 bundle of the step network has.

        Args:
            quantization: what all layers share; nothing is rounded before its phase says so.
            scaling: of the pixels' values.

        Raises:
            ConfigError: the network has no such form. This is the default.
        """
        raise ConfigError(
            f"QUANTIZE: {type(self).__name__} as it is built here has no step program on 8 bits; "
            "it takes a causal network whose layers know where they are rounded"
        )

    @property
    def has_step_network(self) -> bool:
        """Whether `step_network` exists."""
        return self.causal and self.out_axes == "BC"

    def step_network(self, height: int, width: int, scaling: InputScaling) -> nn.Layer:
        """One step as a network of its own, for frames of one size, to be exported.

        It takes a frame of pixels [B, 3, H, W] (uint8 or float32; ``scaling`` is part of it) and a
        sequence of the tensors of its ``queues`` (a list of `QueueSpec`), and gives [B, C, 1, 1]
        and the newest tensor of each queue.

        Raises:
            ConfigError: the network cannot run frame by frame.
        """
        raise ConfigError("only a causal network runs frame by frame; export mode: clip")


class StreamingBackbone(Backbone):
    """A backbone that goes on from frame to frame, its states being argument and result.

    Any split of a clip into steps must give the clip's result. An option may make a network of the
    family one that is not: then ``causal`` is False and `state_specs` raises that of `Backbone`.
    """

    causal: bool = True

    @abstractmethod
    def forward(
        self,
        x_BCTHW: Tensor,
        exchange: StateExchange | None = None,
        endpoints: OrderedDict[str, Tensor] | None = None,
    ) -> Tensor:
        """Return the features after the last frame.

        Args:
            exchange: states of the streams to go on with, every one of `state_specs` taken and put;
                None starts and ends with this clip.
            endpoints: as in `Backbone`.
        """

    @abstractmethod
    def state_specs(self, height: int, width: int) -> list[StateSpec]:
        """Names, shapes and dtypes of the states of one stream; zeros before the first frame."""

    def step_network(self, height: int, width: int, scaling: InputScaling) -> nn.Layer:
        """As in `Backbone`. Default: `forward` with one frame, every state a queue of one."""
        if not self.has_step_network:
            return super().step_network(height, width, scaling)
        return PlainStep(self, self.state_specs(height, width), scaling)


class Head(nn.Layer, ABC):
    """A classifier of features.

    Args:
        num_classes: number of logits.

    The backbone's ``out_channels`` and ``out_axes`` are handed to the arguments ``in_channels`` and
    ``in_axes``, where a head has them.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Return logits [B, ``num_classes``], no softmax."""

    @abstractmethod
    def class_axes(self) -> dict[str, int]:
        """The parameters whose shape follows the number of classes, and which axis does."""

    def built_with(self) -> dict[str, object]:
        """As `Backbone.built_with`."""
        return {"num_classes": self.num_classes}

    def quantize(self, quantization: Quantization) -> None:
        """As `Backbone.quantize`, of the head.

        Raises:
            ConfigError: the head has no such form. This is the default.
        """
        raise ConfigError(f"QUANTIZE: {type(self).__name__} does not know where it is rounded")

    def as_convolutions(self) -> nn.Layer:
        """The head on [B, C, 1, 1] for an exported program. Default: the head on [B, C]."""
        return _HeadOnMaps(self)


class _HeadOnMaps(nn.Layer):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, x_BC11: Tensor) -> Tensor:
        return self.head(x_BC11.reshape([-1, x_BC11.shape[1]]))


class Recognizer(nn.Layer, ABC):
    """A model as training, testing, export and tools see it: a batch in, loss or classes out."""

    @property
    @abstractmethod
    def num_classes(self) -> int:
        """Number of logits."""

    @abstractmethod
    def forward(self, *clips: Tensor) -> Tensor:
        """Return logits [B, num_classes] of a clip [B, T, 3, H, W] for each of `input_specs`."""

    @abstractmethod
    def loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``loss`` (a scalar) and ``logits`` of a batch: clips by name, and ``label``.

        A batch of mixed clips has two labels (`paddlevideo.modeling.losses.loss_of_labels`).
        """

    @abstractmethod
    def predict(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return class probabilities [B, num_classes] of a batch without labels."""

    @abstractmethod
    def input_specs(self) -> dict[str, InputSpec]:
        """The inputs of `forward` in order, by their names in a batch."""

    @abstractmethod
    def class_axes(self) -> dict[str, int]:
        """The tensors whose shape follows the number of classes, and which axis does."""

    @staticmethod
    @abstractmethod
    def check_node(node: ReadNode, where: str) -> Node:
        """Check a MODEL section without building; return it with presets in it expanded.

        Raises:
            ConfigError: it names ``where`` and what is wrong.
        """

    @staticmethod
    @abstractmethod
    def inputs_of_node(node: ReadNode) -> dict[str, bool]:
        """The names of the inputs of a checked node; whether the model scales each one's values."""

    @property
    def architecture(self) -> str:
        """A name for the log."""
        return type(self).__name__

    @property
    def receptive_field(self) -> int | None:
        """As of a `Backbone`."""
        return None

    @property
    def has_step_program(self) -> bool:
        """Whether `step_program` exists."""
        return False

    def quantize(self, quantization: Quantization) -> None:
        """Give every layer the roundings of an int8 bundle; see `Backbone.quantize`.

        Raises:
            ConfigError: a part has no such form. This is the default.
        """
        raise ConfigError(f"QUANTIZE: {self.architecture} does not know where it is rounded")

    def decayed_kernels(self) -> list[str]:
        """The parameters that weight decay is for: every kernel but the classifier's.

        A kernel has two axes or more; biases, batch norm and scalars have one.
        """
        classifier = self.class_axes()
        return [n for n, p in self.named_parameters() if p.ndim >= 2 and n not in classifier]

    def freezable_stages(self) -> OrderedDict[str, list[nn.Layer]]:
        """What training may freeze: names in the order of the forward pass, and their layers."""
        return OrderedDict()

    def parts(self) -> dict[str, "Recognizer"]:
        """The recognizers that it is made of, by name. Default: none.

        The names of their weights begin with ``members.<name>.``.
        """
        return {}

    def built_with(self) -> dict[str, object]:
        """The options that decide what the weights compute, by their paths in a config."""
        return {}

    def backbone_layers(self) -> Sequence[nn.Layer]:
        """The layers that make features, without the classifier; for counting parameters."""
        return ()

    def multiply_adds(self, spec: InputSpec) -> int | None:
        """Multiply-adds of one clip; None: they are counted in the traced program."""
        return None

    def state_specs(self, height: int, width: int) -> list[StateSpec]:
        """The states of one stream; none for a model of whole clips."""
        return []

    def init_states(self, batch_size: int, height: int, width: int) -> States:
        """Return the states of ``batch_size`` streams that have seen nothing.

        Raises:
            ConfigError: the model does not run frame by frame.
        """
        self._refuse_steps()

    def step(self, frames_BTCHW: Tensor, states: Mapping[str, Tensor]) -> tuple[Tensor, States]:
        """Go on with the streams of ``states`` by T frames; return logits and the new states.

        Raises:
            ConfigError: the model does not run frame by frame.
        """
        self._refuse_steps()

    def clip_program(self, *sizes: ClipSize) -> nn.Layer:
        """What is exported for clips of these sizes, one for each input. Default: the model."""
        return self

    def step_program(self, height: int, width: int) -> nn.Layer:
        """What is exported for single frames: `paddlevideo.modeling.recognizers.programs`.

        Raises:
            ConfigError: the model does not run frame by frame.
        """
        self._refuse_steps()

    def _refuse_steps(self) -> NoReturn:
        raise ConfigError(f"{self.architecture} does not run frame by frame; use --mode clip")
