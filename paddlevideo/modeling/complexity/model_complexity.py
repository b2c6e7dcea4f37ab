"""The facts of a recognizer, asked of itself, its backbone and its layers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from paddle import nn

from paddlevideo.modeling.clip_spec import ClipSpec
from paddlevideo.modeling.complexity.traced import traced_multiply_adds
from paddlevideo.modeling.states import StateSpec
from paddlevideo.utils.errors import ConfigError

_BUFFER_SUFFIX = "_stream_buffer"
_SOURCE_FPS = 25.0  # of the video that a clip's stride counts the frames of


@dataclass(frozen=True)
class ModelFacts:
    """What one recognizer costs and wants. Of an ensemble: the sums over its members.

    Attributes:
        parameters: all saved values, the running statistics of batch norm included.
        trainable_parameters: those without the statistics, and without frozen ones.
        backbone_parameters: as ``parameters``, of the backbone.
        multiply_adds_per_clip: of one clip of ``inputs``. Counted are convolutions and dense
            layers, the classifier too; not batch norm, activations, pooling, products, sums.
        multiply_adds_per_frame: of one step of one frame; None if the network is not causal.
        num_states, num_stream_buffers, state_bytes: of one stream of frames of that size; the
            buffers are those states that hold past frames. 0 if the network is not causal.
        receptive_field: frames that an output of the last convolution sees (the largest of the
            members); None if the backbone does not say.
        inputs: the clip of each member by name; of a model that is no ensemble, under ``clip``.
    """

    parameters: int
    trainable_parameters: int
    backbone_parameters: int
    multiply_adds_per_clip: int
    multiply_adds_per_frame: int | None
    num_states: int
    num_stream_buffers: int
    state_bytes: int
    receptive_field: int | None
    inputs: dict[str, ClipSpec]


def frames_per_second(clip: ClipSpec) -> float:
    """How many frames of a second of video the clip takes."""
    return _SOURCE_FPS / clip.stride_frames


def model_facts(
    model: nn.Layer, num_frames: int | None = None, size: tuple[int, int] | None = None
) -> ModelFacts:
    """Return the facts of a recognizer; its weights need no values (`paddle.LazyGuard`).

    Args:
        model: a recognizer. An ensemble has ``members``, recognizers by name.
        num_frames: of a clip, instead of the native number.
        size: height and width in pixels, instead of the native ones.

    Raises:
        ConfigError: a number of frames, a height or a width below 1.
    """
    if any(number is not None and number < 1 for number in (num_frames, *(size or ()))):
        raise ConfigError("a clip has at least 1 frame of at least 1x1 pixels")
    members = getattr(model, "members", None)
    if members is not None:
        parts = {name: model_facts(member, num_frames, size) for name, member in members.items()}
        return _sum(parts)
    clip = _clip_of(model.input_spec(), num_frames, size)
    specs = _state_specs(model, clip)
    return ModelFacts(
        parameters=_num_values(model),
        trainable_parameters=sum(p.size for p in model.parameters() if not p.stop_gradient),
        backbone_parameters=_num_values(model.backbone),
        multiply_adds_per_clip=_multiply_adds(model, clip),
        multiply_adds_per_frame=_multiply_adds(model, replace(clip, num_frames=1))
        if specs
        else None,
        num_states=len(specs),
        num_stream_buffers=sum(spec.name.endswith(_BUFFER_SUFFIX) for spec in specs),
        state_bytes=sum(math.prod(s.shape) * np.dtype(s.dtype).itemsize for s in specs),
        receptive_field=getattr(model.backbone, "receptive_field", None),
        inputs={"clip": clip},
    )


def _clip_of(native: ClipSpec, num_frames: int | None, size: tuple[int, int] | None) -> ClipSpec:
    height, width = size or (native.height, native.width)
    return replace(
        native,
        num_frames=num_frames or native.num_frames,
        height=height,
        width=width,
        short_side=native.short_side if size is None else None,
    )


def _state_specs(model: nn.Layer, clip: ClipSpec) -> list[StateSpec]:
    if not getattr(model.backbone, "causal", False):
        return []
    return model.backbone.state_specs(clip.height, clip.width)


def _num_values(layer: nn.Layer) -> int:
    return sum(tensor.size for tensor in layer.state_dict().values())


def _multiply_adds(model: nn.Layer, clip: ClipSpec) -> int:
    """Asked of the backbone; of one that does not say, and of the head, from the traced program."""
    backbone_says = getattr(model.backbone, "multiply_adds", None)
    if backbone_says is None:
        shape = [1, clip.num_frames, 3, clip.height, clip.width]
        return traced_multiply_adds(model, shape, clip.dtype)
    of_head = traced_multiply_adds(model.head, [1, model.backbone.out_channels])
    return backbone_says(clip.num_frames, clip.height, clip.width) + of_head


def _sum(members: Mapping[str, ModelFacts]) -> ModelFacts:
    """Costs add up; a member that is no stream makes the ensemble none."""
    facts = list(members.values())
    per_frame = [f.multiply_adds_per_frame for f in facts if f.multiply_adds_per_frame is not None]
    fields = [f.receptive_field for f in facts if f.receptive_field is not None]
    return ModelFacts(
        parameters=sum(f.parameters for f in facts),
        trainable_parameters=sum(f.trainable_parameters for f in facts),
        backbone_parameters=sum(f.backbone_parameters for f in facts),
        multiply_adds_per_clip=sum(f.multiply_adds_per_clip for f in facts),
        multiply_adds_per_frame=sum(per_frame) if len(per_frame) == len(facts) else None,
        num_states=sum(f.num_states for f in facts),
        num_stream_buffers=sum(f.num_stream_buffers for f in facts),
        state_bytes=sum(f.state_bytes for f in facts),
        receptive_field=max(fields) if len(fields) == len(facts) else None,
        inputs={name: clip for name, f in members.items() for clip in f.inputs.values()},
    )
