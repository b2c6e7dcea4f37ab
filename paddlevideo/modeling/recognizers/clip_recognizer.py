"""The recognizer of clips: value scaling, backbone, head, loss."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.clip_spec import ClipSpec
from paddlevideo.modeling.layers.input_scaling import InputScaling
from paddlevideo.modeling.recognizers.clip_check import check_clip
from paddlevideo.modeling.recognizers.clip_program import ClipProgram, ClipSize
from paddlevideo.modeling.recognizers.step_program import StepProgram
from paddlevideo.modeling.recognizers.stream_states import (
    check_states,
    load_states,
    reset_rows,
    save_states,
)
from paddlevideo.modeling.registry import BACKBONES, HEADS, LOSSES, RECOGNIZERS
from paddlevideo.modeling.states import StateExchange, States
from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.errors import ConfigError
from paddlevideo.utils.registry import bind_arguments

NO_SCALING = {"scale": 1.0}


@RECOGNIZERS.register
class ClipRecognizer(nn.Layer):
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
        backbone: dict[str, Any],
        head: dict[str, Any],
        loss: dict[str, Any] | None = None,
        scaling: dict[str, Any] | None = None,
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
            in_axes=getattr(self.backbone, "out_axes", "BC"),
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

    def decayed_kernels(self) -> list[str]:
        """The parameters that weight decay is for: every kernel but the classifier's.

        A kernel has two axes or more; biases, batch norm and scalars have one (spec 2.14).
        """
        classifier = self.class_axes()
        return [n for n, p in self.named_parameters() if p.ndim >= 2 and n not in classifier]

    def freezable_stages(self) -> OrderedDict[str, list[nn.Layer]]:
        """What training may freeze: names in the order of the forward pass, and their layers.

        The backbone's own stages, where it has some, then ``backbone`` (the whole of it) and
        ``all_but_head``: everything but the layer that follows the number of classes.
        """
        own_stages = getattr(self.backbone, "stages", None)
        stages = OrderedDict(own_stages() if own_stages is not None else {})
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
        if endpoints is None:  # a backbone need not offer any
            return self.head(self.backbone(x))
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

    def clip_program(self, size: ClipSize) -> nn.Layer:
        """What is exported for clips of ``size`` (T, H, W): the same logits in less time.

        The weights are copied. Where backbone or head have no such form it is the model itself.
        """
        can_fold = getattr(self.backbone, "has_clip_network", False)
        if not can_fold or not hasattr(self.head, "as_convolutions"):
            return self
        return ClipProgram(self, size)

    @property
    def has_step_program(self) -> bool:
        """Whether `step_program` exists for this backbone."""
        return getattr(self.backbone, "has_step_network", False)

    def step_program(self, height: int, width: int) -> StepProgram:
        """One step as a network to be exported, for frames of one size; the weights are copied.

        Raises:
            ConfigError: the recognizer cannot run frame by frame.
        """
        if not hasattr(self.backbone, "step_network"):
            raise ConfigError(f"{self.architecture} has no step_network; export mode: clip")
        return StepProgram(self, height, width)

    def reset_states(self, states: Mapping[str, Tensor], rows: Sequence[int]) -> States:
        """Return ``states`` with the streams ``rows`` started anew; the others go on."""
        return reset_rows(states, rows)

    def save_states(self, states: Mapping[str, Tensor], path: str | Path) -> None:
        """Write states to a ``.safetensors`` file, atomically."""
        save_states(states, path)

    def load_states(self, path: str | Path) -> States:
        """Read states that `save_states` wrote; `WeightsError` if they are not this model's."""
        size = self.backbone.native_clip()
        specs = self.backbone.state_specs(size.height, size.width)
        return load_states(path, [spec.name for spec in specs])

    def loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``loss`` (mean over the batch) and ``logits`` of ``{"clip", "label"}``."""
        logits = self(batch[CLIP])
        return {"loss": self.criterion(logits, batch["label"]), "logits": logits}

    def predict(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return class probabilities [B, num_classes] of ``{"clip"}``."""
        return F.softmax(self(batch[CLIP]).astype("float32"), axis=-1)

    def input_spec(self) -> ClipSpec:
        """The clip the backbone was designed for."""
        dtype = "float32" if self.scaling.is_identity else "uint8"
        return replace(self.backbone.native_clip(), dtype=dtype)

    def _check(self, clip_BTCHW: Tensor) -> None:
        check_clip(clip_BTCHW, getattr(self.backbone, "min_size", 1))

    def input_specs(self) -> dict[str, ClipSpec]:
        """The inputs of `forward` in order, by their names in a batch: here the one clip."""
        return {CLIP: self.input_spec()}

    @staticmethod
    def inputs_of_node(node: Mapping[str, Any]) -> dict[str, bool]:
        """The names of the inputs of a checked node; whether the model scales each one's values."""
        return {CLIP: (node.get("scaling") or {}).get("scale") != 1.0}

    @staticmethod
    def check_node(node: Mapping[str, Any], where: str) -> dict[str, Any]:
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
