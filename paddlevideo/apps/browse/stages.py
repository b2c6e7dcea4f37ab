"""`stages_of`: the clip of a sample behind each step of its pipeline, as training draws it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from paddlevideo.loader.dataset.base import ClipDataset
from paddlevideo.utils.nodes import Node
from paddlevideo.video.pipeline import Pipeline

_KEYS_OF_INPUTS = ("inputs", "views")


@dataclass(frozen=True)
class Stage:
    """A clip behind one step.

    Attributes:
        step: name of the step, with the clip's name where there are several.
        clip_THWC: frames, of the step's own type of numbers.
        path: the file that was read; in training another one may stand in for a bad one.
        label: of that file.
    """

    step: str
    clip_THWC: np.ndarray
    path: str
    label: int | None

    @property
    def title(self) -> str:
        """The step, and shape and type of its clip."""
        num_frames, height, width = self.clip_THWC.shape[:3]
        return f"{self.step}  {num_frames} x {height} x {width} {self.clip_THWC.dtype}"


def stages_of(dataset: ClipDataset, epoch: int, index: int) -> Iterator[list[Stage]]:
    """Yield the stages of each of a sample's clips, in the order of the steps.

    Each step is the last of a pipeline that ends with it. A sample's draws come one after the other
    from a generator of its position alone, so all of these agree with the whole pipeline, whatever
    that fuses or skips.

    Args:
        dataset: with the whole pipeline.
        epoch, index: position of the sample.

    Raises:
        DataError: the sample cannot be read.
    """
    whole = dataset.context.pipeline
    most = max(len(each.transforms) for each in whole.inputs.values())
    stages: dict[str, list[Stage]] = {name: [] for name in whole.inputs}
    for count in range(most + 1):
        pipeline = Pipeline(_cut(whole.description, count), "PIPELINE", whole.training)
        sample = _with(dataset, pipeline)[epoch, index]
        for name, each in pipeline.inputs.items():
            if len(each.transforms) < count:  # this one has fewer steps
                continue
            step = each.transforms[-1] if count else each.sampler
            called = type(step).__name__ + (f" ({name})" if len(stages) > 1 else "")
            clip_THWC = to_THWC(sample.clips[name], each.output_layout)  # several views: in a row
            stages[name].append(Stage(called, clip_THWC, sample.path, sample.label))
    yield from stages.values()


def _with(dataset: ClipDataset, pipeline: Pipeline) -> ClipDataset:
    """The same data set with another pipeline."""
    other = ClipDataset.__new__(type(dataset))
    other.__dict__.update(dataset.__dict__)
    other.context = replace(dataset.context, pipeline=pipeline)
    return other


def _cut(description: Node, count: int) -> Node:
    """A description with the first ``count`` transforms of each input."""
    cut = dict(description)
    for key in _KEYS_OF_INPUTS:
        if cut.get(key):
            return {**cut, key: {name: _cut(node, count) for name, node in cut[key].items()}}
    return {**cut, "transform": list(cut.get("transform") or [])[:count]}


def to_THWC(clip: np.ndarray, layout: str) -> np.ndarray:
    """A clip of any layout with its axes in the order of pictures; views V follow one another."""
    if clip.ndim > len(layout):
        return np.concatenate([to_THWC(view, layout) for view in clip])
    return clip.transpose([layout.index(axis) for axis in "THWC"])


def as_pictures(clip_THWC: np.ndarray) -> np.ndarray:
    """Pictures uint8 [T, H, W, C]; scaled values from their least, black, to their most, white."""
    if clip_THWC.dtype == np.uint8:
        return clip_THWC
    values: np.ndarray = clip_THWC.astype(np.float32)
    least, most = float(values.min()), float(values.max())
    scaled: np.ndarray = ((values - least) / max(most - least, 1e-6) * 255).round()
    return scaled.astype(np.uint8)
