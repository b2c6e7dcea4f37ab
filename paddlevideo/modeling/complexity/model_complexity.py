"""The complexity of a recognizer, as it says itself or as its traced program shows."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from paddle import nn

from paddlevideo.modeling.complexity.traced import traced_multiply_adds
from paddlevideo.modeling.input_spec import InputSpec
from paddlevideo.modeling.interfaces import Recognizer
from paddlevideo.utils.clip_names import CLIP
from paddlevideo.utils.errors import ConfigError

_BUFFER_SUFFIX = "_stream_buffer"
_SOURCE_FPS = 25.0  # of the video that a clip's stride counts the frames of


@dataclass(frozen=True)
class ModelComplexity:
    """What one recognizer costs and wants. Of an ensemble: the sums over its members.

    Attributes:
        parameters: all saved values, the running statistics of batch norm included.
        trainable_parameters: those without running statistics, and without frozen ones.
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
    inputs: dict[str, InputSpec]


def frames_per_second(clip: InputSpec) -> float:
    """How many frames of a second of video the clip takes."""
    return _SOURCE_FPS / clip.stride_frames


def model_complexity(
    model: Recognizer, num_frames: int | None = None, size: tuple[int, int] | None = None
) -> ModelComplexity:
    """Return the complexity of a model; its weights need no values (`paddle.LazyGuard`).

    Args:
        num_frames: of a clip, instead of the native number.
        size: height and width in pixels, instead of the native ones.

    Raises:
        ConfigError: a number of frames, a height or a width below 1.
    """
    if any(number is not None and number < 1 for number in (num_frames, *(size or ()))):
        raise ConfigError("a clip has at least 1 frame of at least 1x1 pixels")
    parts = model.parts()
    if parts:
        return _sum({name: model_complexity(own, num_frames, size) for name, own in parts.items()})
    (native,) = model.input_specs().values()
    clip = _clip_of(native, num_frames, size)
    specs = model.state_specs(clip.height, clip.width)
    frame = replace(clip, num_frames=1)
    return ModelComplexity(
        parameters=_num_values([model]),
        trainable_parameters=sum(p.size for p in model.parameters() if not p.stop_gradient),
        backbone_parameters=_num_values(model.backbone_layers()),
        multiply_adds_per_clip=_multiply_adds(model, clip),
        multiply_adds_per_frame=_multiply_adds(model, frame) if specs else None,
        num_states=len(specs),
        num_stream_buffers=sum(spec.name.endswith(_BUFFER_SUFFIX) for spec in specs),
        state_bytes=sum(math.prod(s.shape) * np.dtype(s.dtype).itemsize for s in specs),
        receptive_field=model.receptive_field,
        inputs={CLIP: clip},
    )


def _clip_of(native: InputSpec, num_frames: int | None, size: tuple[int, int] | None) -> InputSpec:
    height, width = size or (native.height, native.width)
    return replace(
        native,
        num_frames=num_frames or native.num_frames,
        height=height,
        width=width,
        short_side=native.short_side if size is None else None,
    )


def _num_values(layers: Iterable[nn.Layer]) -> int:
    return sum(tensor.size for layer in layers for tensor in layer.state_dict().values())


def _multiply_adds(model: Recognizer, clip: InputSpec) -> int:
    """Those that the model says, or those of its traced program."""
    said = model.multiply_adds(clip)
    if said is not None:
        return said
    shape = [1, clip.num_frames, 3, clip.height, clip.width]
    return traced_multiply_adds(model, shape, clip.dtype)


def _sum(members: Mapping[str, ModelComplexity]) -> ModelComplexity:
    """Costs add up; a member that is no stream makes the ensemble none."""
    costs = list(members.values())
    per_frame = [c.multiply_adds_per_frame for c in costs if c.multiply_adds_per_frame is not None]
    fields = [c.receptive_field for c in costs if c.receptive_field is not None]
    return ModelComplexity(
        parameters=sum(c.parameters for c in costs),
        trainable_parameters=sum(c.trainable_parameters for c in costs),
        backbone_parameters=sum(c.backbone_parameters for c in costs),
        multiply_adds_per_clip=sum(c.multiply_adds_per_clip for c in costs),
        multiply_adds_per_frame=sum(per_frame) if len(per_frame) == len(costs) else None,
        num_states=sum(c.num_states for c in costs),
        num_stream_buffers=sum(c.num_stream_buffers for c in costs),
        state_bytes=sum(c.state_bytes for c in costs),
        receptive_field=max(fields) if len(fields) == len(costs) else None,
        inputs={name: clip for name, c in members.items() for clip in c.inputs.values()},
    )
