"""The ensemble: recognizers on several inputs of one video, and the mean of their logits."""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NoReturn

import paddle
import paddle.nn.functional as F
from paddle import Tensor, nn

from paddlevideo.modeling.builder import build_recognizer, resolve_model_section
from paddlevideo.modeling.input_spec import InputSpec
from paddlevideo.modeling.interfaces import MEMBERS, ClipSize, Recognizer
from paddlevideo.modeling.recognizers.programs import MeanOfPrograms
from paddlevideo.modeling.registry import RECOGNIZERS
from paddlevideo.utils.clip_names import CLIP, clip_name
from paddlevideo.utils.errors import ConfigError, DataError
from paddlevideo.utils.nodes import Node, ReadNode

_MEMBER_NAME = re.compile(r"[A-Za-z0-9_]+")


@RECOGNIZERS.register
class EnsembleRecognizer(Recognizer):
    """A clip [B, T, 3, H, W] for each member to logits [B, num_classes]: the plain mean of theirs.

    Every member has its own number of frames and size, so a batch holds ``clip_<member>`` for each
    (a pipeline with an input of that name makes it). MoViNet-A6 is such a pair (docs/movinet.md).

    Training is that of the members, each for itself: the loss is the sum of theirs, so that the
    gradient of a weight is what it would be with its member alone. Networks that learn from
    the averaged logits would come to rely on one another.

    Args:
        members: the MODEL section of each, by name; a preset too.
        loss: node of the training loss of the members that state none.
        where: YAML path of the section, for messages.

    Raises:
        ConfigError: no members, a name that cannot stand in a name of weights, an ensemble within
            the ensemble, or members of different numbers of classes.
    """

    def __init__(
        self, members: dict[str, Node], loss: Node | None = None, where: str = "MODEL"
    ) -> None:
        super().__init__()
        sections = _member_sections({MEMBERS: members, "loss": loss}, where)
        self.members = nn.LayerDict(
            {name: build_recognizer(node, at) for name, (node, at) in sections.items()}
        )
        numbers = {name: member.num_classes for name, member in self.members.items()}
        if len(set(numbers.values())) > 1:
            shown = ", ".join(f"{name} {number}" for name, number in numbers.items())
            raise ConfigError(f"{where}.members differ in their numbers of classes: {shown}")

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return next(iter(self.members.values())).num_classes

    @property
    def architecture(self) -> str:
        """The members' backbones, for the log."""
        return " + ".join(member.architecture for member in self.members.values())

    def input_specs(self) -> dict[str, InputSpec]:
        """The clip each member was designed for, by its name in a batch."""
        return {clip_name(name): member.input_spec() for name, member in self.members.items()}

    def class_axes(self) -> dict[str, int]:
        """The tensors whose shape follows the number of classes, and which axis does."""
        return {
            f"{MEMBERS}.{name}.{tensor}": axis
            for name, member in self.members.items()
            for tensor, axis in member.class_axes().items()
        }

    def decayed_kernels(self) -> list[str]:
        """The parameters that weight decay is for: those of the members."""
        return [
            f"{MEMBERS}.{name}.{kernel}"
            for name, member in self.members.items()
            for kernel in member.decayed_kernels()
        ]

    def freezable_stages(self) -> OrderedDict[str, list[nn.Layer]]:
        """The stages that every member has, each of all members together."""
        stages = [member.freezable_stages() for member in self.members.values()]
        shared = [name for name in stages[0] if all(name in own for own in stages)]
        return OrderedDict(
            (name, [layer for own in stages for layer in own[name]]) for name in shared
        )

    def forward(self, *clips: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Return logits [B, num_classes].

        Args:
            clips: one for each member in the order of `input_specs`; or one mapping by those names.

        Raises:
            DataError: not one clip for each member, or an input that is no clip.
        """
        return self._mean(
            [
                member(clip)
                for member, clip in zip(self.members.values(), self._in_order(clips), strict=True)
            ]
        )

    def clip_program(self, *sizes: ClipSize) -> nn.Layer:
        """What is exported for clips of these sizes, (T, H, W) for each member in order."""
        pairs = zip(self.members.values(), sizes, strict=True)
        return MeanOfPrograms([member.clip_program(size) for member, size in pairs])

    def _in_order(self, clips: Sequence[Tensor | Mapping[str, Tensor]]) -> list[Tensor]:
        names = [clip_name(name) for name in self.members]
        if len(clips) == 1 and isinstance(clips[0], Mapping):
            batch = clips[0]
            missing = [name for name in names if name not in batch]
            if missing:
                raise DataError(
                    f"the batch has no {', '.join(missing)}; this model takes {', '.join(names)}: "
                    "inputs of those names in the PIPELINE make them"
                )
            return [batch[name] for name in names]
        if len(clips) != len(names):
            raise DataError(
                f"this model takes {len(names)} clips, {', '.join(names)}; got {len(clips)}"
            )
        return list(clips)

    def _mean(self, logits: list[Tensor]) -> Tensor:
        return paddle.add_n(logits) / float(len(logits))

    def loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return ``loss``, the sum of the members', and the ensemble's ``logits``.

        Args:
            batch: ``clip_<member>`` for each, and ``label``; of mixed clips both labels.
        """
        clips = self._in_order([batch])
        results = [
            member.loss({**batch, CLIP: clip})
            for member, clip in zip(self.members.values(), clips, strict=True)
        ]
        return {
            "loss": paddle.add_n([result["loss"] for result in results]),
            "logits": self._mean([result["logits"] for result in results]),
        }

    def predict(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return class probabilities [B, num_classes]: the softmax of the mean."""
        return F.softmax(self(batch).astype("float32"), axis=-1)

    def _refuse_steps(self) -> NoReturn:
        raise ConfigError(
            "an ensemble does not run frame by frame, even if its members are causal: they take "
            "frames of different sizes at different times. Stream each member by itself"
        )

    def parts(self) -> dict[str, Recognizer]:
        """The members."""
        return dict(self.members.items())

    @staticmethod
    def inputs_of_node(node: ReadNode) -> dict[str, bool]:
        """As `ClipRecognizer.inputs_of_node`, with the name of each member's clip."""
        return {
            clip_name(name): scales
            for name, member in node[MEMBERS].items()
            for scales in RECOGNIZERS.get(member["framework"]).inputs_of_node(member).values()
        }

    @staticmethod
    def check_node(node: ReadNode, where: str) -> Node:
        """Check every member's section without building; return the node with presets expanded."""
        sections = _member_sections(node, where)
        return {**node, MEMBERS: {name: section for name, (section, _) in sections.items()}}


def _member_sections(node: ReadNode, where: str) -> dict[str, tuple[Node, str]]:
    """The checked section of each member, with the ensemble's loss if it has none; its path."""
    members = node[MEMBERS]
    if not members:
        raise ConfigError(f"{where}.{MEMBERS}: an ensemble needs members, sections by name")
    sections = {}
    for name, member in members.items():
        at = f"{where}.{MEMBERS}.{name}"
        if not isinstance(name, str) or not _MEMBER_NAME.fullmatch(name):
            raise ConfigError(f"{at}: a member's name is letters, digits and underscores")
        own = dict(member)
        if node.get("loss") is not None:
            own.setdefault("loss", node["loss"])
        section = resolve_model_section(own, at)
        if MEMBERS in section:
            raise ConfigError(f"{at}: an ensemble cannot be a member; list its members here")
        sections[name] = (section, at)
    return sections
