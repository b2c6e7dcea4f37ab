"""The recognizer of clips: value scaling, backbone, head, loss."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.complexity.traced import traced_multiply_adds
from paddlevideo.modeling.input_spec import InputSpec
from paddlevideo.modeling.interfaces import ClipSize, Recognizer
from paddlevideo.modeling.layers.input_scaling import InputScaling
from paddlevideo.modeling.layers.rounding import Quantization
from paddlevideo.modeling.losses.both_labels import loss_of_labels
from paddlevideo.modeling.recognizers.clip_check import check_clip
from paddlevideo.modeling.recognizers.programs import ClipProgram, StepProgram
from paddlevideo.modeling.recognizers.stream_states import (
    check_states,
    load_states,
    reset_rows,
    save_states,
)
from paddlevideo.modeling.registry import BACKBONES, HEADS, LOSSES, RECOGNIZERS
from paddlevideo.modeling.states import StateExchange, States, StateSpec
from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.nodes import Node, ReadNode
from paddlevideo.utils.registry import bind_arguments

NO_SCALING = {"scale": 1.0}


@RECOGNIZERS.register
class ClipRecognizer(Recognizer):
    """Clips [B, T, 3, H, W] (uint8 or float in [0, 255], RGB) to logits [B, num_classes].

    Args:
        backbone, head: nodes ``{name: ..., arguments}``.
        loss: node of the training loss; plain cross entropy by default.
        scaling: ``{scale, mean, std}`` of `InputScaling`; the default maps to [0, 1]. A pipeline
            that scales by itself (a Normalization step) needs ``{scale: 1.0}``.
        where: YAML path of the section, for messages.
    """

    def __init__(
        self,
        backbone: Node,
        head: Node,
        loss: Node | None = None,
        scaling: Node | None = None,
        where: str = "MODEL",
    ) -> None:
        super().__init__()
        self.scaling = InputScaling(
            **bind_arguments(InputScaling, scaling or {}, f"{where}.scaling")
        )
        self.backbone = BACKBONES.build(backbone, f"{where}.backbone")
        self.head = HEADS.build(
            head,
            f"{where}.head",
            in_channels=self.backbone.out_channels,
            in_axes=self.backbone.out_axes,
        )
        self.criterion = LOSSES.build(loss or {"name": "CrossEntropyLoss"}, f"{where}.loss")

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.head.num_classes

    @property
    def architecture(self) -> str:
        """The backbone, for the log."""
        return type(self.backbone).__name__

    def class_axes(self) -> dict[str, int]:
        """The tensors whose shape follows the number of classes, and which axis does."""
        return {f"head.{name}": axis for name, axis in self.head.class_axes().items()}

    def built_with(self) -> dict[str, object]:
        """The options of backbone and head, under the paths of a config."""
        parts = {"MODEL.backbone": self.backbone.built_with(), "MODEL.head": self.head.built_with()}
        return {f"{at}.{k}": v for at, part in parts.items() for k, v in part.items()}

    @property
    def receptive_field(self) -> int | None:
        """That of the backbone."""
        return self.backbone.receptive_field

    def backbone_layers(self) -> Sequence[nn.Layer]:
        """The backbone."""
        return [self.backbone]

    def multiply_adds(self, spec: InputSpec) -> int | None:
        """Those of the backbone, where it counts them, and of the head."""
        backbone = self.backbone.multiply_adds(spec.num_frames, spec.height, spec.width)
        if backbone is None:
            return None
        return backbone + traced_multiply_adds(self.head, [1, self.backbone.out_channels])

    def quantize(self, quantization: Quantization) -> None:
        """Give backbone and head roundings; see `Backbone.quantize`."""
        self.backbone.quantize(quantization, self.scaling)
        self.head.quantize(quantization)

    def state_specs(self, height: int, width: int) -> list[StateSpec]:
        """Those of the backbone; none if it is not causal."""
        return self.backbone.state_specs(height, width) if self.backbone.causal else []

    def freezable_stages(self) -> OrderedDict[str, list[nn.Layer]]:
        """What training may freeze: names in the order of the forward pass, and their layers.

        The backbone's own stages, where it has some, then ``backbone`` (the whole of it) and
        ``all_but_head``: everything but the layer that follows the number of classes.
        """
        stages = self.backbone.stages()
        stages["backbone"] = [self.backbone]
        swapped = {name.partition(".")[0] for name in self.head.class_axes()}
        stages["all_but_head"] = [
            layer
            for name, layer in self.head.named_children()
            if name not in swapped and layer.parameters()
        ]
        return stages

    def forward(
        self, clip_BTCHW: Tensor, endpoints: OrderedDict[str, Tensor] | None = None
    ) -> Tensor:
        """Return logits [B, num_classes].

        Raises:
            DataError: the input is no batch of clips.
        """
        self._check(clip_BTCHW)
        x = self.scaling(clip_BTCHW)
        return self.head(self.backbone(x, endpoints=endpoints))

    def init_states(self, batch_size: int, height: int, width: int) -> States:
        """Return the states of ``batch_size`` streams that have seen nothing.

        Args:
            height, width: of the frames that will come, in pixels.

        Raises:
            ConfigError: the backbone is not causal.
        """
        specs = self.backbone.state_specs(height, width)
        return OrderedDict((spec.name, spec.zeros(batch_size)) for spec in specs)

    def step(self, frames_BTCHW: Tensor, states: Mapping[str, Tensor]) -> tuple[Tensor, States]:
        """Go on with the streams of ``states`` by T >= 1 frames.

        Any split of a clip into steps gives the logits of the whole clip. ``states`` is left as
        it is: the new states are a result.

        Args:
            frames_BTCHW: [B, T, 3, H, W], as for a clip.
            states: from `init_states`, or from the step before.

        Returns:
            Logits [B, num_classes] after the last frame, and the new states.

        Raises:
            DataError: the frames are no clip, or the states are of another model, batch or size.
        """
        self._check(frames_BTCHW)
        batch_size, _, _, height, width = frames_BTCHW.shape
        specs = self.backbone.state_specs(height, width)
        check_states(states, specs, batch_size, f"{height}x{width}")
        exchange = StateExchange(states)
        logits = self.head(self.backbone(self.scaling(frames_BTCHW), exchange))
        return logits, OrderedDict((name, exchange.new[name]) for name in states)

    def clip_program(self, *sizes: ClipSize) -> nn.Layer:
        """What is exported for clips of one size (T, H, W): the same logits in less time.

        The weights are copied. Where backbone or head have no such form it is the model itself.
        """
        (size,) = sizes
        network = self.backbone.clip_network(size, self.scaling)
        if network is None:
            return self
        return ClipProgram(network, self.head.as_convolutions(), *size[1:])

    @property
    def has_step_program(self) -> bool:
        """Whether `step_program` exists for this backbone."""
        return self.backbone.has_step_network

    def step_program(self, height: int, width: int) -> StepProgram:
        """One step as a network to be exported, for frames of one size; the weights are copied.

        Raises:
            ConfigError: the recognizer cannot run frame by frame.
        """
        network = self.backbone.step_network(height, width, self.scaling)
        head = self.head.as_convolutions()
        return StepProgram(network, head, self.num_classes, self.input_spec().dtype)

    def reset_states(self, states: Mapping[str, Tensor], rows: Sequence[int]) -> States:
        """Return ``states`` with the streams ``rows`` started anew; the others go on."""
        return reset_rows(states, rows)

    def save_states(self, states: Mapping[str, Tensor], path: str | Path) -> None:
        """Write states to a ``.safetensors`` file, atomically."""
        save_states(states, path)

    def load_states(self, path: str | Path) -> States:
        """Read states that `save_states` wrote; `WeightsError` if they are not this model's."""
        size = self.input_spec()
        specs = self.backbone.state_specs(size.height, size.width)
        return load_states(path, [spec.name for spec in specs])

    def loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``loss`` (mean over the batch) and ``logits`` of ``{"clip", "label"}``.

        Of mixed clips it is that of both labels (`loss_of_labels`).
        """
        logits = self(batch[CLIP])
        return {"loss": loss_of_labels(self.criterion, logits, batch), "logits": logits}

    def predict(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return class probabilities [B, num_classes] of ``{"clip"}``."""
        return F.softmax(self(batch[CLIP]).astype("float32"), axis=-1)

    def input_spec(self) -> InputSpec:
        """The clip the backbone was designed for."""
        dtype = "float32" if self.scaling.is_identity else "uint8"
        return replace(self.backbone.input_spec(), dtype=dtype)

    def _check(self, clip_BTCHW: Tensor) -> None:
        check_clip(clip_BTCHW, self.backbone.min_size)

    def input_specs(self) -> dict[str, InputSpec]:
        """The inputs of `forward` in order, by their names in a batch: here the one clip."""
        return {CLIP: self.input_spec()}

    @staticmethod
    def inputs_of_node(node: ReadNode) -> dict[str, bool]:
        """The names of the inputs of a checked node; whether the model scales each one's values."""
        return {CLIP: (node.get("scaling") or {}).get("scale") != 1.0}

    @staticmethod
    def check_node(node: ReadNode, where: str) -> Node:
        """Check backbone, head, loss and scaling of a MODEL section without building.

        Returns:
            The node, with whatever it leaves to presets expanded: here nothing.
        """
        bind_arguments(InputScaling, node.get("scaling") or {}, f"{where}.scaling")
        for key, registry, context in (
            ("backbone", BACKBONES, ()),
            ("head", HEADS, ("in_channels", "in_axes")),
            ("loss", LOSSES, ()),
        ):
            if node.get(key) is not None:
                registry.check(node[key], f"{where}.{key}", context)
            elif key != "loss":
                raise ConfigError(f"{where}: the section {key} is missing")
        return dict(node)
